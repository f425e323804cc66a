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
//!   pay, a plan is dense ([`short`]).
//! * [`View`] and [`Tensor`] are what goes in and comes out: any strides, as long as a head's row is contiguous.
//! * [`Attention`] is a loaded kernel. Bad input is refused with a typed [`Error`] before anything is written.

#![deny(missing_docs)]

mod any;
mod attention;
mod cpu;
mod cuda;
mod device;
mod element;
mod error;
mod geometry;
pub mod jit;
mod linker;
mod memory;
mod observe;
mod once;
mod plan;
mod selection;
pub mod short;
mod tensor;
pub mod tune;

pub use any::AnyAttention;
pub use attention::{Attention, AttentionKernel};
#[doc(hidden)]
pub use cpu::InstructionSet;
pub use cuda::{CudaDevice, DriverInfo, GpuInfo, RawArgs, RawTensor};
pub use cudarc;
pub use device::{Device, DeviceName, UnknownDevice};
pub use element::Element;
pub use error::{Error, Result};
pub use geometry::Geometry;
pub use observe::{Observer, Stage, StageTimes, Trace};
pub use plan::{Plan, Problem};
pub use proxyattn_codegen::cuda::Scratch;
pub use selection::Selection;
pub use short::WhyDense;
pub use tensor::{AsView, Tensor, View, ViewMut};
pub use tune::Tune;
