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

/// Attention of `q (batch, seq, heads, dim)` over `k` and `v` `(batch, kv_seq, kv_heads, dim)` by the kernel `K`, where
/// the tensors are. The result has the shape of `q` and is contiguous.
///
/// Tensors have the kernel's dtype, and any strides and offset as long as the last stride is 1: nothing is copied. With
/// `seq < kv_seq` the queries are the last tokens of the context; `seq > kv_seq` takes a kernel of `causal = false`
/// (cross-attention). The first call on a GPU [loads](load) the kernel.
///
/// # Errors
/// What is wrong with an argument, by its name: its dtype, its device, its shape beside the kernel's and the other
/// arguments', its strides; on the CPU also NaN, infinity and magnitudes whose scores would leave f32, for which a GPU does
/// not look: there they come out, or change the output in silence. Memory that there is none of. What
/// [`load`] returns, and failed calls of the CUDA driver. There is no backward pass: candle says so when it is asked for
/// one.
pub fn attention<K: AttentionKernel>(q: &Tensor, k: &Tensor, v: &Tensor, options: Options) -> Result<Tensor> {
    tensors::same_place(q, k, v)?;
    ProxyAttention::new(load::<K>(q.device())?, options).forward(q, k, v)
}

/// An error of proxyattn's as one of candle's, with the same message.
fn told(error: proxyattn::Error) -> Error {
    Error::wrap(error)
}
