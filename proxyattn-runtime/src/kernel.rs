//! A type that stands for a configuration.

use crate::{Attention, Device, Element, LayerShares, Problem, Result, Tune};
use proxyattn_codegen::cuda::emit;
use proxyattn_codegen::{Arch, Spec};

/// A type that stands for one attention configuration. `#[proxy_attention]` implements it.
///
/// ```
/// use proxyattn::codegen::Spec;
/// use proxyattn::prelude::*;
///
/// #[proxy_attention(head_dim = 64)]
/// struct Layer;
///
/// /// A layer of any kernel.
/// fn attend<K: AttentionKernel>(qkv: &Tensor<K::Elem>) -> proxyattn::Result<Tensor<K::Elem>> {
///     K::load(&Device::cpu())?.prefill(qkv, qkv, qkv)
/// }
///
/// assert_eq!((Layer::NAME, Layer::SPEC), ("Layer", Spec { head_dim: 64, ..Spec::DEFAULT }));
/// assert_eq!(attend::<Layer>(&Tensor::zeros([1, 2, 10, 64])?)?.shape(), [1, 2, 10, 64]);
/// assert!(Layer::cuda_source(Arch::Sm90a).contains("wgmma"));
/// # Ok::<(), proxyattn::Error>(())
/// ```
pub trait AttentionKernel: 'static {
    /// The type's name, for messages.
    const NAME: &'static str;
    /// The configuration.
    const SPEC: Spec;
    /// Element type of Q, K, V and the output; `SPEC.dtype` as a type.
    type Elem: Element;

    /// Makes the kernel ready on `device`, as [`Attention::load`] does for a [`Spec`].
    ///
    /// # Errors
    /// As [`Attention::load`].
    fn load(device: &Device) -> Result<Attention<Self::Elem>> {
        Self::load_tuned(device, Tune::from_env()?, &[])
    }

    /// [`load`](Self::load) with tiles as `tune` says, as [`Attention::load_tuned`] does for a [`Spec`].
    ///
    /// # Errors
    /// As [`Attention::load_tuned`].
    fn load_tuned(device: &Device, tune: Tune, problems: &[Problem]) -> Result<Attention<Self::Elem>> {
        Attention::named(Self::NAME, &Self::SPEC, device, tune, problems)
    }

    /// [`load`](Self::load) for one layer of a model. Configurations whose budget is `per_head(…)` ask for its weights, those of
    /// `spans(…)` for its spans; others
    /// do not look at them, so that a program may load every kernel so.
    ///
    /// # Errors
    /// As [`Attention::load_layer`].
    fn load_layer(device: &Device, layer: &LayerShares) -> Result<Attention<Self::Elem>> {
        Attention::named_of_layer(Self::NAME, &Self::SPEC, device, Tune::from_env()?, &[], Some(layer))
    }

    /// The CUDA text of the configuration for a family of GPUs, with its default tiles: header-free, to be read, diffed,
    /// or compiled elsewhere. [`Arch::Sm80`] runs from Ampere on, Hopper included; [`Arch::Sm90a`] is for Hopper alone.
    ///
    /// # Panics
    /// If `SPEC` breaks a rule, which the attribute rules out.
    fn cuda_source(arch: Arch) -> String {
        emit(&Self::SPEC, arch).source()
    }
}

impl Problem {
    /// A problem whose heads are checked against `K` when the program is compiled.
    ///
    /// ```compile_fail
    /// # use proxyattn_runtime::*; use proxyattn_codegen::Spec;
    /// struct EightKvHeads;
    /// impl AttentionKernel for EightKvHeads {
    ///     const NAME: &'static str = "EightKvHeads";
    ///     const SPEC: Spec = Spec { kv_heads: Some(8), ..Spec::DEFAULT };
    ///     type Elem = half::bf16;
    /// }
    /// let problem = Problem::of::<EightKvHeads, 32, 4>(1, 4096, 4096); // 4 KV heads, declared 8
    /// ```
    pub const fn of<K: AttentionKernel, const HEADS: u32, const KV_HEADS: u32>(
        batch: usize,
        q_len: usize,
        kv_len: usize,
    ) -> Self {
        const {
            assert!(
                K::SPEC.accepts_heads(HEADS, KV_HEADS),
                "the head counts do not fit the kernel's `heads`, `kv_heads` or `groups`"
            );
        }
        Self { batch, heads: HEADS as usize, kv_heads: KV_HEADS as usize, q_len, kv_len }
    }
}
