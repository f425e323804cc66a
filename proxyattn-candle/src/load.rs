//! Kernels for candle's devices.

use crate::into_candle;
use candle_core::{Device, Result};
use proxyattn::{Attention, AttentionKernel, Error};

/// The kernel `K` for a candle device, as used by [`attention`](crate::attention): to [warm up](Attention::warmup), to
/// [tune](Attention::tune), to get a [plan](Attention::plan).
///
/// On a GPU it is loaded once, from the cubin cache or by compiling, and stays loaded until the process ends, for all candle
/// devices of this GPU. Kernels are launched on the stream of the tensors of a call.
///
/// # Errors
/// Those of [`Attention::load`]; a CUDA device if this crate was built without the feature `cuda`; a Metal device.
pub fn load<K: AttentionKernel>(device: &Device) -> Result<Attention<K::Elem>> {
    match device {
        Device::Cpu => K::load(&proxyattn::Device::Cpu).map_err(into_candle),
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => crate::cuda::load::<K>(device),
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Err(without_cuda()),
        Device::Metal(_) => Err(into_candle(Error::Unavailable {
            what: format!("`{}` on Metal", K::NAME),
            why: "there are kernels for the CPU and for CUDA devices".into(),
            help: "move q, k and v with to_device(&Device::Cpu)".into(),
        })),
    }
}

/// The error for a CUDA tensor without the feature `cuda`.
#[cfg(not(feature = "cuda"))]
pub(crate) fn without_cuda() -> candle_core::Error {
    into_candle(Error::Unavailable {
        what: "proxyattn on CUDA".into(),
        why: "proxyattn-candle was built without its feature `cuda`".into(),
        help: "enable the feature, or move q, k and v with to_device(&Device::Cpu)".into(),
    })
}
