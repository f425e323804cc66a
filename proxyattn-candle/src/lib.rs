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
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use proxyattn::prelude::proxy_attention;
/// use proxyattn_candle::{Options, attention};
///
/// #[proxy_attention(head_dim = 64, heads = 8, kv_heads = 2)]
/// struct Layer;
///
/// // As a candle model has them, (batch, heads, seq, dim).
/// let q = Tensor::randn(0f32, 1., (1, 8, 100, 64), &Device::Cpu)?.to_dtype(DType::BF16)?;
/// let kv = Tensor::randn(0f32, 1., (1, 2, 100, 64), &Device::Cpu)?.to_dtype(DType::BF16)?;
/// let (q, kv) = (q.transpose(1, 2)?, kv.transpose(1, 2)?); // (batch, seq, heads, dim), without a copy
/// let output = attention::<Layer>(&q, &kv, &kv, Options::default())?;
/// assert_eq!(output.dims(), [1, 100, 8, 64]);
/// # Ok::<(), candle_core::Error>(())
/// ```
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
