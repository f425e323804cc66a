//! The only paths that an expansion of `#[proxy_attention]` may name. No stability is promised.

pub use half::{bf16, f16};
pub use proxyattn_codegen::{
    Arch, ArchSet, Block, Budget, Dtype, Dynamic, Keep, Order, Precision, Proxy, Ratio, Rows, Scorer, Spec,
    Split, Stride, Sums, TopK, Weigh,
};
pub use proxyattn_runtime::{Attention, AttentionKernel, Device, Result};
