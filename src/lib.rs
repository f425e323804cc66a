//! Block-sparse prefill attention: annotate a struct, get a kernel for exactly that configuration, for NVIDIA GPUs and CPUs.
//!
//! The prefill attention of a causal transformer is computed over the blocks of keys that hold most of each head's attention,
//! and the others are skipped. Which those are is found in each call, from the queries and keys themselves (ProxyAttn,
//! arXiv 2509.24745): nothing is trained and the model stays as it is. The result is an approximation of dense attention, unless
//! the budget is `all`, and pays from a few thousand tokens on; shorter contexts run dense by themselves.
//!
//! ```
//! use proxyattn::prelude::*;
//! use proxyattn::synthetic::{Inputs, Synthetic};
//!
//! /// The attention of one layer. A mistake in the attribute is an error at compile time.
//! #[proxy_attention(head_dim = 64, heads = 8, kv_heads = 2)]
//! struct Layer;
//!
//! fn main() -> proxyattn::Result<()> {
//!     // A GPU that is usable, else the CPU. On a GPU this compiles the kernels, or finds them in the cache.
//!     let attention = Layer::load(&Device::auto())?;
//!     // Queries, keys and values after RoPE: a model's, or realistic ones from a seed. Random ones have nothing to skip.
//!     let Inputs { q, k, v, .. } = Synthetic { tokens: 2048, head_dim: 64, ..Synthetic::DEFAULT }.generate()?;
//!     let [q, k, v] = [q.to(attention.device())?, k.to(attention.device())?, v.to(attention.device())?];
//!     let trace = attention.prefill_traced(&q, &k, &v, &())?;
//!     println!("{trace}"); // times of the stages, and a map of the blocks
//!     assert_eq!(trace.output.shape(), q.shape());
//!     Ok(())
//! }
//! ```
//!
//! # From a configuration to an output
//!
//! | step | types |
//! |---|---|
//! | declare a configuration | [`#[proxy_attention]`](macro@proxy_attention), which implements [`AttentionKernel`]; one that is known only at run time is a [`codegen::Spec`] |
//! | choose where to run | [`Device`]: [`Device::auto`], [`Device::cpu`], [`Device::cuda`], or the stream of an engine ([`Device::from_stream`]) |
//! | load | [`AttentionKernel::load`] or [`Attention::load`] gives an [`Attention`], cheap to clone and safe to share |
//! | pass tensors | [`View`] borrows memory of any strides, on the host or a GPU; [`Tensor`] owns it; both are [`AsView`] |
//! | run | [`Attention::prefill`], [`prefill_into`](Attention::prefill_into) a [`ViewMut`], [`prefill_traced`](Attention::prefill_traced) with a [`Trace`]; [`launch_raw`](Attention::launch_raw) takes addresses and a stream |
//! | see what was selected | [`Trace`]: the [`Plan`], the block lists ([`Selection`]), the [`StageTimes`]; [`WhyDense`] says why nothing was selected |
//! | handle failure | [`Error`]: names the argument, what was expected, what was given and what to do |
//!
//! # Modules
//!
//! | module | for |
//! |---|---|
//! | [`prelude`] | what a program that runs attention wants in scope |
//! | [`synthetic`] | realistic queries, keys and values without a model |
//! | [`codegen`] | configurations as values, and the CUDA text of kernels |
//! | [`jit`] | NVRTC, the cache of compiled kernels, kernels compiled ahead of time |
//! | [`tune`] | tiles measured on this GPU |
//! | [`mod@env`] | the environment variables, all of them |
//! | [`mod@dense_below`] | where a context is too short to gain |
//!
//! # Layouts
//!
//! Tensors are `[batch, heads, tokens, head_dim]` in every signature and message, whatever the order in memory is:
//! [`View::bhsd`] and [`View::bshd`] say which one that is. With fewer queries than keys, the queries are the end of the context
//! (a chunk of a prefill). Declaring `heads` and `kv_heads` makes a mix-up of heads and tokens an error.
//!
//! # Features and platforms
//!
//! There are no Cargo features: CUDA is opened at run time where it is there, and nothing but cargo is needed to build. Linux on
//! x86-64 is what is tested. `proxyattn-candle` is the op on candle tensors, `proxyattn-cli` the program `proxyattn`.
//!
//! # Further reading
//!
//! [Running it](https://github.com/proxyattn/proxyattn/blob/main/docs/running.md): devices, NVRTC, environment variables, warm-up
//! and tuning. [Accuracy](https://github.com/proxyattn/proxyattn/blob/main/docs/accuracy.md) and
//! [performance](https://github.com/proxyattn/proxyattn/blob/main/docs/performance.md): measurements, with their commands.
//! [Heads](https://github.com/proxyattn/proxyattn/blob/main/docs/heads.md): how many proxies a model allows.

#![deny(missing_docs)]

/// The program in README.md, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use proxyattn_codegen as codegen;
pub use proxyattn_macros::proxy_attention;
pub use proxyattn_runtime::{
    AsView, Attention, AttentionKernel, BlockMap, CudaDevice, Device, DeviceName, DriverInfo, Element, Error,
    Geometry, GpuInfo, HeadShares, HeadSpan, HeadSpans, LayerShares, ListView, Lists, NoTokenCount, Observer,
    Plan, Problem, RawArgs, RawLists, RawTensor, Result, Scratch, Selection, Stage, StageTimes, Tensor,
    TokenCount, Trace, Tune, UnknownDevice, View, ViewMut, WhyDense, cudarc, dense_below, env, jit,
    synthetic, tune,
};

/// What a program that runs attention wants in scope.
///
/// ```
/// use proxyattn::prelude::*;
///
/// #[proxy_attention(head_dim = 64, dtype = f16)]
/// struct Layer;
///
/// let attention: Attention<f16> = Layer::load(&Device::cpu())?;
/// # assert_eq!(attention.name(), "Layer");
/// # Ok::<(), proxyattn::Error>(())
/// ```
pub mod prelude {
    pub use crate::codegen::Arch;
    pub use crate::{
        AsView, Attention, AttentionKernel, Device, Problem, Tensor, View, ViewMut, proxy_attention,
    };
    pub use half::{bf16, f16};
}

#[doc(hidden)]
pub mod __private;
#[doc(hidden)]
pub use proxyattn_runtime::{Packed, shapes};

/// The programs in the documentation.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../docs/attribute.md")]
    mod attribute {}
    #[doc = include_str!("../docs/choosing.md")]
    mod choosing {}
    #[doc = include_str!("../docs/engines.md")]
    mod engines {}
}
