//! Kernels for candle's devices.

use crate::told;
use candle_core::{Device, Result};
use proxyattn::{Attention, AttentionKernel, Error};

/// The kernel `K` for a device of candle's, as [`attention`](crate::attention) uses it: to
/// [warm up](Attention::warmup), to [tune](Attention::tune), to ask for a [plan](Attention::plan).
///
/// On a GPU it is loaded once, from the cache of cubins or by a compilation, and kept for as long as the process runs,
/// for every device that candle makes of this GPU. Kernels are launched on the stream of the tensors at hand.
///
/// # Errors
/// What [`Attention::load`] returns; that this crate was built without its feature `cuda`; a Metal device.
pub fn load<K: AttentionKernel>(device: &Device) -> Result<Attention<K::Elem>> {
    match device {
        Device::Cpu => K::load(&proxyattn::Device::Cpu).map_err(told),
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => crate::cuda::load::<K>(device),
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Err(without_cuda()),
        Device::Metal(_) => Err(told(Error::Unavailable {
            what: format!("`{}` on Metal", K::NAME),
            why: "there are kernels for the CPU and for CUDA devices".into(),
            help: "move q, k and v with to_device(&Device::Cpu)".into(),
        })),
    }
}

/// A CUDA tensor, where this crate has nothing for it.
#[cfg(not(feature = "cuda"))]
pub(crate) fn without_cuda() -> candle_core::Error {
    told(Error::Unavailable {
        what: "proxyattn on CUDA".into(),
        why: "proxyattn-candle was built without its feature `cuda`".into(),
        help: "enable the feature, or move q, k and v with to_device(&Device::Cpu)".into(),
    })
}
