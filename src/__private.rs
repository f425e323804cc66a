//! The only paths that an expansion of `#[proxy_attention]` may name. No stability is promised.

pub use half::{bf16, f16};
pub use proxyattn_codegen::{Arch, ArchSet, Block, Budget, Dtype, Keep, Rows, Scorer, Spec, Stride};
pub use proxyattn_runtime::{Attention, AttentionKernel, Device, Result};
