//! The driver and its GPUs, asked without opening any of them.

use super::driver;
use super::failed::failed;
use super::gpu::arch_of;
use super::refusals::opening;
use crate::Result;
use core::ffi::c_int;
use cudarc::driver::{DriverError, result, sys::CUdevice_attribute as Attribute, sys::CUresult};
use proxyattn_codegen::Arch;
use std::path::PathBuf;

/// What the CUDA driver says of itself and of its GPUs.
///
/// ```
/// use proxyattn::DriverInfo;
///
/// match DriverInfo::read() {
///     Ok(driver) => println!("CUDA {:?}, {} GPUs", driver.cuda, driver.gpus.len()),
///     Err(why) => println!("{why}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverInfo {
    /// The driver's library.
    pub library: PathBuf,
    /// The newest CUDA version that the driver supports: major, minor.
    pub cuda: (u32, u32),
    /// The driver's own version, where the kernel tells it: `580.95.05`.
    pub release: Option<String>,
    /// Every GPU, by ordinal.
    pub gpus: Vec<GpuInfo>,
}

/// One GPU.
///
/// ```
/// use proxyattn::{DriverInfo, GpuInfo};
///
/// fn memory(gpus: &[GpuInfo]) -> u64 {
///     gpus.iter().map(|gpu| gpu.memory_bytes).sum()
/// }
///
/// let bytes = DriverInfo::read().map_or(0, |driver| memory(&driver.gpus));
/// println!("{} GiB", bytes >> 30);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuInfo {
    /// Its name, as the driver has it.
    pub name: String,
    /// Compute capability: major, minor.
    pub capability: (u8, u8),
    /// Multiprocessors.
    pub multiprocessors: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// The family of kernels that runs on it; `None` for a GPU that is too old.
    pub arch: Option<Arch>,
}

impl DriverInfo {
    /// Asks the driver. No context is made, and no memory is taken.
    ///
    /// # Errors
    /// [`Error::DriverNotFound`](crate::Error::DriverNotFound) without a driver,
    /// [`Error::Unavailable`](crate::Error::Unavailable) for one that cannot be used, [`Error::Cuda`](crate::Error::Cuda) if
    /// it refuses to answer.
    pub fn read() -> Result<Self> {
        driver::probe()?;
        result::init().map_err(opening("cuInit"))?;
        // SAFETY: the type is that of the driver's documentation.
        let get_version: unsafe extern "C" fn(*mut c_int) -> CUresult =
            unsafe { driver::function("cuDriverGetVersion") }?;
        let mut version = 0;
        // SAFETY: `version` outlives the call.
        let code = unsafe { get_version(&mut version) };
        checked(code, "cuDriverGetVersion")?;
        let version = u32::try_from(version).unwrap_or(0);
        let count = result::device::get_count().map_err(opening("cuDeviceGetCount"))?;
        Ok(Self {
            library: driver::path()?,
            cuda: (version / 1000, version % 1000 / 10),
            release: driver::release(),
            gpus: (0..count).map(GpuInfo::read).collect::<Result<_>>()?,
        })
    }
}

impl GpuInfo {
    fn read(ordinal: c_int) -> Result<Self> {
        let device = result::device::get(ordinal).map_err(failed("cuDeviceGet"))?;
        let number = |attribute| {
            // SAFETY: the device is one of the driver's.
            let value = unsafe { result::device::get_attribute(device, attribute) };
            value.map_err(failed("cuDeviceGetAttribute"))
        };
        // SAFETY: the type is that of the driver's documentation.
        let total_memory: unsafe extern "C" fn(*mut usize, c_int) -> CUresult =
            unsafe { driver::function("cuDeviceTotalMem_v2") }?;
        let mut bytes = 0;
        // SAFETY: `bytes` outlives the call, and the device is one of the driver's.
        let code = unsafe { total_memory(&mut bytes, device) };
        checked(code, "cuDeviceTotalMem")?;
        let major = number(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = number(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        let capability = (u8::try_from(major).unwrap_or(0), u8::try_from(minor).unwrap_or(0));
        let multiprocessors = number(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        Ok(Self {
            name: result::device::get_name(device).map_err(failed("cuDeviceGetName"))?,
            capability,
            multiprocessors: u64::try_from(multiprocessors).unwrap_or(0),
            memory_bytes: bytes as u64,
            arch: arch_of(capability),
        })
    }
}

fn checked(code: CUresult, call: &'static str) -> Result<()> {
    if code == CUresult::CUDA_SUCCESS { Ok(()) } else { Err(failed(call)(DriverError(code))) }
}
