//! Where kernels run.

use crate::cuda::CudaDevice;
use crate::{Error, Result};
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
    /// The best device there is: a GPU where one can be used, the CPU elsewhere. `PROXYATTN_DEVICE` set to `cpu`
    /// keeps to the CPU. [`Device::why_not_cuda`] tells why it is not a GPU.
    pub fn auto() -> Self {
        Self::cuda_allowed().unwrap_or(Self::Cpu)
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
        if std::env::var_os("PROXYATTN_DEVICE").is_some_and(|device| device == "cpu") {
            return Err(Error::Unavailable {
                what: "CUDA".into(),
                why: "PROXYATTN_DEVICE is cpu".into(),
                help: "unset it to use a GPU".into(),
            });
        }
        let device = Self::cuda(0)?;
        // A GPU without a compiler, or a cache that holds everything, cannot load a kernel.
        crate::jit::Jit::global()?;
        Ok(device)
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
