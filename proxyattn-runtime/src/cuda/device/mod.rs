//! The driver and its GPUs.

mod driver;
mod failed;
mod gpu;
mod info;
mod refusals;

pub(crate) use driver::{capture_info, encode_tiled, event_elapsed};
pub(crate) use failed::{failed, no_memory};
pub use gpu::CudaDevice;
pub use info::{DriverInfo, GpuInfo};
pub(crate) use refusals::loading;
