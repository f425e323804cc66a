//! Where kernels run.

use crate::cuda::device::CudaDevice;
use crate::env::Env;
use crate::{DeviceName, Error, Result, once};
use cudarc::driver::CudaStream;
use std::sync::Arc;

/// A place to run kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// The host's processors, with the widest vector instructions that they have.
    Cpu,
    /// A GPU, and the stream that its work is ordered by.
    Cuda(CudaDevice),
}

impl Device {
    /// The device that `PROXYATTN_DEVICE` names. Where that is unset, the first GPU if it can be used, and otherwise the
    /// CPU; [`Device::why_not_cuda`] gives the reason. Where the variable names a GPU that cannot be used, this is the CPU
    /// with a warning (`tracing`), and [`Device::from_env`] is an error. An invalid value of the variable is an error of
    /// every [`load`](crate::Attention::load).
    pub fn auto() -> Self {
        Self::from_env().unwrap_or_else(|error| {
            once::warn(
                format!("device {error}"),
                &format_args!("the CPU is used instead of PROXYATTN_DEVICE's: {error}"),
            );
            Self::Cpu
        })
    }

    /// The device that `PROXYATTN_DEVICE` names, or, where that is unset, [`Device::auto`].
    ///
    /// # Errors
    /// [`Error::Environment`] for an invalid value, and the errors of [`Device::cuda`] for a GPU that it names.
    pub fn from_env() -> Result<Self> {
        Self::named(Env::process().device()?)
    }

    /// The device of that name.
    ///
    /// # Errors
    /// As [`Device::cuda`], for the name of a GPU.
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

    /// The CUDA device of that ordinal, with a stream of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without a usable driver or with a GPU older than compute capability 8.0,
    /// [`Error::Cuda`] if the driver refuses the device.
    pub fn cuda(ordinal: usize) -> Result<Self> {
        CudaDevice::new(ordinal).map(Self::Cuda)
    }

    /// The CUDA device of a stream of the caller's; everything runs on that stream.
    ///
    /// # Errors
    /// As [`Device::cuda`].
    pub fn from_stream(stream: Arc<CudaStream>) -> Result<Self> {
        CudaDevice::from_stream(stream).map(Self::Cuda)
    }

    /// Why [`Device::auto`] is not a GPU; `None` where it is one.
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
