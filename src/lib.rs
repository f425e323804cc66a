#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub use proxyattn_codegen as codegen;
pub use proxyattn_macros::proxy_attention;
pub use proxyattn_runtime::{
    AsView, Attention, AttentionKernel, BlockMap, CudaDevice, Device, DeviceName, DriverInfo, Element, Error,
    Geometry, GpuInfo, Observer, Plan, Problem, RawArgs, RawTensor, Result, Scratch, Selection, Stage,
    StageTimes, Tensor, Trace, Tune, UnknownDevice, View, ViewMut, WhyDense, cudarc, dense_below, env, jit,
    synthetic, tune,
};

/// What a program that runs attention wants in scope: `use proxyattn::prelude::*;`.
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
pub use proxyattn_runtime::shapes;
