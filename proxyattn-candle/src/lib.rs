#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod load;
mod op;
mod options;
mod tensors;

pub use load::load;
pub use op::ProxyAttention;
pub use options::Options;

use candle_core::{Error, Result, Tensor};
use proxyattn::AttentionKernel;

/// Attention of `q (batch, seq, heads, dim)` over `k` and `v` `(batch, kv_seq, kv_heads, dim)` by the kernel `K`, on the
/// tensors' device. The result has the shape of `q` and is contiguous.
///
/// Tensors must have the kernel's dtype, and may have any strides and offset as long as the last stride is 1; nothing is
/// copied. With `seq < kv_seq` the queries are the last tokens of the context; `seq > kv_seq` (cross-attention) requires a
/// kernel with `causal = false`. The first call on a GPU [loads](load) the kernel.
///
/// # Errors
/// An argument whose dtype, device, shape or strides do not fit the kernel or the other arguments. On the CPU also NaN,
/// infinity and values whose scores would overflow f32; on a GPU values are not checked, and such inputs silently corrupt the
/// output. Insufficient memory. The errors of [`load`], and failed calls of the CUDA driver. There is no backward pass:
/// candle's `backward` returns an error.
pub fn attention<K: AttentionKernel>(q: &Tensor, k: &Tensor, v: &Tensor, options: Options) -> Result<Tensor> {
    tensors::same_place(q, k, v)?;
    ProxyAttention::new(load::<K>(q.device())?, options).forward(q, k, v)
}

/// A proxyattn error as a candle error with the same message.
fn into_candle(error: proxyattn::Error) -> Error {
    Error::wrap(error)
}
