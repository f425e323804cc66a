//! Runs what `#[proxy_attention]` declares.
//!
//! ```text
//! View (q, k, v) ─check─▶ Problem ─plan─▶ Plan ─▶ backend ─▶ output, Selection, StageTimes
//!                                                 │
//!                                                 ├ cpu:  pool → score → budget → select → attend
//!                                                 └ cuda: the same, as kernels that jit compiles once
//! ```
//!
//! * [`Problem`] is a shape, [`Plan`] what the kernel will do with it; both are plain values. Where selecting does not
//!   pay, a plan is dense ([`dense_below`]).
//! * [`View`] and [`Tensor`] are what goes in and comes out: any strides, as long as a head's row is contiguous.
//! * [`Attention`] is a loaded kernel. Bad input is refused with a typed [`Error`] before anything is written.

#![deny(missing_docs)]

mod attention;
mod cpu;
mod cuda;
pub mod dense_below;
mod device;
mod device_name;
mod element;
pub mod env;
mod error;
mod geometry;
mod inputs;
pub mod jit;
mod kernel;
mod layer;
mod library_path;
mod lists;
mod memory;
mod observe;
mod once;
mod plan;
mod problem;
mod selection;
#[doc(hidden)]
pub mod shapes;
pub mod synthetic;
mod tensor;
mod token_count;
pub mod tune;

pub use attention::Attention;
#[doc(hidden)]
pub use cpu::InstructionSet;
pub use cuda::{CudaDevice, DriverInfo, GpuInfo, RawArgs, RawLists, RawTensor};
pub use cudarc;
pub use dense_below::WhyDense;
pub use device::Device;
pub use device_name::{DeviceName, UnknownDevice};
pub use element::Element;
pub use error::{Error, Result};
pub use geometry::Geometry;
pub use kernel::AttentionKernel;
pub use layer::{HeadShares, HeadSpan, HeadSpans, LayerShares};
#[doc(hidden)]
pub use lists::Packed;
pub use lists::{ListView, Lists};
pub use observe::{Observer, Stage, StageTimes, Trace};
pub use plan::Plan;
pub use problem::Problem;
pub use proxyattn_codegen::cuda::Scratch;
pub use selection::{BlockMap, Selection};
pub use tensor::{AsView, Tensor, View, ViewMut};
pub use token_count::{NoTokenCount, TokenCount};
pub use tune::Tune;
