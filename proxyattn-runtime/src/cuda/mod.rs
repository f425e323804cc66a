//! The CUDA backend.
//!
//! ```text
//! Device::cuda ─▶ driver.rs: is there one that can be used? ─▶ device.rs: context, stream, compute capability
//!                 refusals.rs: what the driver means where it refuses
//! load         ─▶ kernels.rs: Spec ─codegen─▶ text ─▶ variants.rs: constants, jit ─▶ cubin ─▶ functions
//!                 calls.rs: a kernel's table and its function
//!                 records.rs: what was tuned ─▶ pipelines.rs: the functions of each bucket
//! tune, warmup ─▶ tuner.rs ─▶ bench.rs: inputs, events, outputs
//! prefill      ─▶ prefill.rs: views ─▶ workspace.rs: where buffers lie ─▶ launch.rs: parameters, streams
//!                                                                          tensor_map.rs: what Hopper copies by
//!                                                                          lanes.rs: what runs beside
//! ```
//!
//! Between the first and the last kernel there is no allocation, no synchronisation and no transfer: `launch.rs` can be
//! captured in a graph. Work is ordered by the device's stream, and a call returns before it is done. What a call puts on
//! another stream begins and ends between two points of that one.

mod args;
mod bench;
mod calls;
mod device;
mod driver;
mod info;
mod kernels;
mod lanes;
mod launch;
mod pipelines;
mod prefill;
mod records;
mod refusals;
mod tensor_map;
mod tuner;
mod variants;
mod workspace;

pub use args::{RawArgs, RawTensor};
pub use device::CudaDevice;
pub use info::{DriverInfo, GpuInfo};
pub(crate) use kernels::Kernels;
pub(crate) use prefill::{Checked, check, prefill, prefill_traced};

use crate::Error;
use cudarc::driver::{DriverError, sys::CUresult};

/// A failed driver call.
pub(crate) fn failed(call: &'static str) -> impl Fn(DriverError) -> Error {
    move |error| Error::Cuda { call, code: error.0 as i32, why: refusals::name(error) }
}

/// A failed call that asked for so many bytes of device memory.
pub(crate) fn no_memory(call: &'static str, what: &'static str, bytes: u64) -> impl Fn(DriverError) -> Error {
    move |error| match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::Memory { what, of: "device", bytes },
        _ => failed(call)(error),
    }
}
