//! The only paths that an expansion of `#[proxy_attention]` may name. No stability is promised.

pub use half::{bf16, f16};
// All of it, since an expansion names the types of every kind of a choice.
pub use proxyattn_codegen::*;
pub use proxyattn_runtime::{Attention, AttentionKernel, Device, Result};
