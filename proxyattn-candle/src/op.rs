//! The op.

use crate::{Options, cpu, into_candle, tensors};
use candle_core::{CpuStorage, CudaStorage, CustomOp3, DeviceLocation, Layout, Result, Shape, Tensor};
use proxyattn::{Attention, Device, Element, Error};

/// The op's name in candle's messages.
const NAME: &str = "proxyattn";

/// A proxyattn kernel as a candle op on q, k and v. Cheap to clone, safe to share.
///
/// [`attention`](crate::attention) creates one per call. Programs that tune or warm up a kernel have its [`Attention`] from
/// [`load`](crate::load), and can create the op once.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use proxyattn::prelude::proxy_attention;
/// use proxyattn_candle::{Options, ProxyAttention, load};
///
/// #[proxy_attention(head_dim = 64)]
/// struct Layer;
///
/// let op = ProxyAttention::new(load::<Layer>(&Device::Cpu)?, Options::default());
/// let qkv = Tensor::ones((1, 100, 4, 64), DType::BF16, &Device::Cpu)?; // (batch, seq, heads, dim)
/// assert_eq!(op.forward(&qkv, &qkv, &qkv)?.dims(), qkv.dims());
/// # Ok::<(), candle_core::Error>(())
/// ```
pub struct ProxyAttention<T> {
    attention: Attention<T>,
    options: Options,
}

impl<T: Element> ProxyAttention<T> {
    /// The op of a loaded kernel.
    pub fn new(attention: Attention<T>, options: Options) -> Self {
        Self { attention, options }
    }

    /// The kernel.
    pub fn attention(&self) -> &Attention<T> {
        &self.attention
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Applies the op, like [`attention`](crate::attention), on the device that the kernel was loaded for.
    ///
    /// # Errors
    /// Those of [`attention`](crate::attention), and tensors on a device other than the kernel's.
    pub fn forward(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        tensors::same_place(q, k, v)?;
        q.apply_op3(k, v, self.clone())
    }

    /// Rejects tensors that are not on the kernel's device.
    fn check_place(&self, place: DeviceLocation) -> Result<()> {
        let kernel = match self.attention.device() {
            Device::Cuda(device) => DeviceLocation::Cuda { gpu_id: device.stream().context().ordinal() },
            _ => DeviceLocation::Cpu,
        };
        if kernel == place {
            return Ok(());
        }
        let expected = format!("a tensor on {}, for which the kernel was loaded", tensors::name(kernel));
        let got = format!("one on {}; load the kernel for the tensors' device", tensors::name(place));
        Err(into_candle(Error::Layout { arg: "q", expected, got }))
    }
}

impl<T: Element> CustomOp3 for ProxyAttention<T> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.check_place(DeviceLocation::Cpu)?;
        cpu::forward(self, [q, k, v], [q_layout, k_layout, v_layout])
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        q: &CudaStorage,
        q_layout: &Layout,
        k: &CudaStorage,
        k_layout: &Layout,
        v: &CudaStorage,
        v_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        use candle_core::backend::{BackendDevice, BackendStorage};
        self.check_place(q.device().location())?;
        crate::cuda::forward(self, [q, k, v], [q_layout, k_layout, v_layout])
    }

    #[cfg(not(feature = "cuda"))]
    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Err(crate::load::without_cuda())
    }
}

impl<T> Clone for ProxyAttention<T> {
    fn clone(&self) -> Self {
        Self { attention: self.attention.clone(), options: self.options.clone() }
    }
}

impl<T> core::fmt::Debug for ProxyAttention<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ProxyAttention")
            .field("attention", &self.attention)
            .field("options", &self.options)
            .finish()
    }
}
