//! Where kernels run.

use crate::cuda::CudaDevice;
use crate::jit::Env;
use crate::{Error, Result, once};
use core::str::FromStr;
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
    /// The device that `PROXYATTN_DEVICE` names, or, where that is unset, the best there is: the first GPU where it can be
    /// used. It is the CPU elsewhere, and [`Device::why_not_cuda`] tells why; where the variable names a GPU that cannot be
    /// used, a warning (`tracing`) does, and [`Device::from_env`] is an error. A value of the variable that means nothing
    /// is an error of every [`load`](crate::Attention::load).
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
    /// [`Error::Environment`] for a value that means nothing, and what [`Device::cuda`] says of a GPU that it names.
    pub fn from_env() -> Result<Self> {
        Self::named(Env::process().device()?)
    }

    /// The device of that name.
    ///
    /// # Errors
    /// As [`Device::cuda`], of a name that is a GPU's.
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

/// What a device is called: by `PROXYATTN_DEVICE`, and on command lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceName {
    /// `auto`: the first GPU where it can be used, the CPU elsewhere.
    #[default]
    Auto,
    /// `cpu`.
    Cpu,
    /// `cuda:1`, the GPU of that number; `cuda` is `cuda:0`.
    Cuda(usize),
}

impl DeviceName {
    /// The names, for messages.
    pub const EXPECTED: &'static str = "`auto`, `cpu`, `cuda` or `cuda:N` (the GPU of number N, from 0 on)";
}

/// In any case, with or without space around it.
impl FromStr for DeviceName {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => {
                let number =
                    other.strip_prefix("cuda:").filter(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
                number.and_then(|number| number.parse().ok()).map(Self::Cuda).ok_or(UnknownDevice)
            }
        }
    }
}

/// A text that names no device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", DeviceName::EXPECTED)]
pub struct UnknownDevice;

impl core::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
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
