//! Where kernels run.

use crate::{Error, Result};

/// A place to run kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// The host's processors, with the widest vector instructions that they have.
    Cpu,
}

impl Device {
    /// The best device there is: a GPU where one can be used, the CPU elsewhere.
    /// [`Device::why_not_cuda`] tells why it is not a GPU.
    pub fn auto() -> Self {
        Self::cuda(0).unwrap_or(Self::Cpu)
    }

    /// The CPU.
    pub fn cpu() -> Self {
        Self::Cpu
    }

    /// The CUDA device of that ordinal.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: this version has no CUDA backend.
    pub fn cuda(ordinal: usize) -> Result<Self> {
        Err(Error::Unavailable {
            what: format!("CUDA device {ordinal}"),
            why: format!("proxyattn {} has no CUDA backend", env!("CARGO_PKG_VERSION")),
            help: "use Device::cpu() or Device::auto()".into(),
        })
    }

    /// Why [`Device::auto`] is not a GPU; `None` where it is one.
    pub fn why_not_cuda() -> Option<Error> {
        Self::cuda(0).err()
    }
}

impl core::fmt::Display for Device {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Device::Cpu => write!(f, "cpu ({}, {} threads)", crate::cpu::isa(), rayon::current_num_threads()),
        }
    }
}
