//! The devices that kernels run on.

use crate::cuda::device::CudaDevice;
use crate::env::Env;
use crate::{DeviceName, Error, Result, once};
use cudarc::driver::CudaStream;
use std::sync::Arc;

/// A device to run kernels on.
///
/// ```
/// use proxyattn::Device;
///
/// let device = Device::auto();
/// println!("{device}"); // cpu (AVX-512, 8 threads)
/// if let Some(why) = Device::why_not_cuda() {
///     println!("{why}");
/// }
/// # assert_eq!(Device::cpu(), Device::Cpu);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// The host's CPU, with its widest vector instructions.
    Cpu,
    /// A GPU, and the stream that orders its work.
    Cuda(CudaDevice),
}

impl Device {
    /// The device that `PROXYATTN_DEVICE` names. If the variable is unset: the first GPU if it is usable, otherwise the CPU;
    /// [`Device::why_not_cuda`] says why.
    ///
    /// If the variable names a GPU that cannot be used, this logs a `tracing` warning and returns the CPU, whereas
    /// [`Device::from_env`] returns an error. With an invalid value every [`load`](crate::Attention::load) is an error.
    pub fn auto() -> Self {
        Self::from_env().unwrap_or_else(|error| {
            once::warn(
                format!("device {error}"),
                &format_args!("using the CPU instead of the device in PROXYATTN_DEVICE: {error}"),
            );
            Self::Cpu
        })
    }

    /// Like [`Device::auto`], but an error if `PROXYATTN_DEVICE` names a GPU that cannot be used.
    ///
    /// # Errors
    /// [`Error::Environment`] for an invalid value, and the errors of [`Device::cuda`] for the named GPU.
    pub fn from_env() -> Result<Self> {
        Self::named(Env::process().device()?)
    }

    /// The device with this name.
    ///
    /// # Errors
    /// Those of [`Device::cuda`], if the name is a GPU's.
    pub fn named(name: DeviceName) -> Result<Self> {
        match name {
            DeviceName::Auto => Ok(Self::cuda(0).unwrap_or(Self::Cpu)),
            DeviceName::Cpu => Ok(Self::Cpu),
            DeviceName::Cuda(ordinal) => Self::cuda(ordinal),
        }
    }

    /// The CPU.
    pub fn cpu() -> Self {
        Self::Cpu
    }

    /// The CUDA device with this ordinal, with a new stream.
    ///
    /// # Errors
    /// [`Error::DriverNotFound`] without a driver, [`Error::Unavailable`] if it cannot be used or the GPU has a compute
    /// capability below 8.0, [`Error::Cuda`] if the driver rejects the device.
    pub fn cuda(ordinal: usize) -> Result<Self> {
        CudaDevice::new(ordinal).map(Self::Cuda)
    }

    /// The CUDA device of the caller's stream; all work runs on that stream.
    ///
    /// # Errors
    /// Those of [`Device::cuda`].
    pub fn from_stream(stream: Arc<CudaStream>) -> Result<Self> {
        CudaDevice::from_stream(stream).map(Self::Cuda)
    }

    /// Why [`Device::auto`] is not a GPU; `None` if it is.
    pub fn why_not_cuda() -> Option<Error> {
        Self::cuda_allowed().err()
    }

    fn cuda_allowed() -> Result<Self> {
        match Env::process().device()? {
            DeviceName::Auto => Self::cuda(0),
            DeviceName::Cuda(ordinal) => Self::cuda(ordinal),
            DeviceName::Cpu => Err(Error::Unavailable {
                what: "CUDA".into(),
                why: "PROXYATTN_DEVICE is cpu".into(),
                help: "unset it to use a GPU".into(),
            }),
        }
    }
}

impl core::fmt::Display for Device {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Device::Cpu => write!(f, "cpu ({}, {} threads)", crate::cpu::isa(), rayon::current_num_threads()),
            Device::Cuda(device) => {
                let (major, minor) = device.capability();
                write!(f, "cuda:{} ({}, {major}.{minor})", device.stream().context().ordinal(), device.name())
            }
        }
    }
}
