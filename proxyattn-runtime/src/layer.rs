//! What a kernel is told of the layer that it is loaded for.

mod scores;

pub use scores::HeadShares;

use crate::{Error, Result};
use cudarc::driver::{CudaSlice, DevicePtr};
use proxyattn_codegen::{Share, Spec};

use crate::cuda::CudaDevice;
use crate::cuda::device::{failed, no_memory};

/// The weights of a layer's query heads, for kernels of `budget = per_head(…)`: a head of weight 1 has the share that the
/// budget names, a head of weight 2 twice as much, and a head of weight 0 is *pruned*.
///
/// A pruned head visits only the blocks that are always visited, and its output is then set to zero.
///
/// ```
/// use proxyattn::LayerShares;
/// use proxyattn::prelude::*;
/// use proxyattn::synthetic::Synthetic;
///
/// #[proxy_attention(head_dim = 64, heads = 4, kv_heads = 2, budget = per_head(0.25, min_tokens = 64))]
/// struct Layer;
///
/// let inputs = Synthetic { tokens: 1024, heads: 4, kv_heads: 2, head_dim: 64, ..Synthetic::DEFAULT }.generate()?;
/// let weights = LayerShares::new(&[2.0, 1.0, 1.0, 0.0])?;
/// let attention = Layer::load_layer(&Device::cpu(), &weights)?.with_dense_below(0);
/// let trace = attention.prefill_traced(&inputs.q, &inputs.k, &inputs.v, &())?;
/// assert_eq!([0, 1].map(|head| trace.selection.count(0, head, 15)), [8, 4], "of the last row's 16 blocks");
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LayerShares {
    weights: Vec<f64>,
}

impl LayerShares {
    /// A weight for each query head, in their order.
    ///
    /// # Errors
    /// [`Error::Shape`] for no weights, and for one that is negative or not finite.
    pub fn new(weights: &[f64]) -> Result<Self> {
        if weights.is_empty() {
            return Err(Error::Shape {
                arg: "weights",
                expected: "a weight for each query head".into(),
                got: "none".into(),
            });
        }
        if let Some(head) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(Error::Shape {
                arg: "weights",
                expected: "finite weights of at least 0".into(),
                got: format!("{} of head {head}", weights[head]),
            });
        }
        Ok(Self { weights: weights.to_vec() })
    }

    /// The weights.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }
}

/// A layer as a loaded kernel has it.
pub(crate) struct Layer {
    /// Of each head, of a row's blocks.
    millionths: Vec<u32>,
    /// The same on a GPU, and its address.
    memory: Option<(CudaSlice<u32>, u64)>,
}

impl Layer {
    /// Of a kernel that is loaded with `shares`, if its configuration asks for any.
    pub(crate) fn of(
        name: &str,
        spec: &Spec,
        shares: Option<&LayerShares>,
        device: Option<&CudaDevice>,
    ) -> Result<Option<Self>> {
        let Some(share) = spec.budget.of_layer() else { return Ok(None) };
        let Some(LayerShares { weights }) = shares else {
            return Err(Error::Unavailable {
                what: format!("loading `{name}` without its layer"),
                why: format!("`budget = {}` has a share for each head of each layer", spec.budget),
                help: "call `load_layer` with a `LayerShares`: of `HeadShares::layer`, or `LayerShares::new`"
                    .into(),
            });
        };
        if let Some(heads) = spec.heads
            && heads as usize != weights.len()
        {
            return Err(Error::Shape {
                arg: "layer",
                expected: format!("a weight for each of the {heads} heads that the kernel declares"),
                got: format!("{}", weights.len()),
            });
        }
        let of_head = |&weight: &f64| match weight {
            0.0 => 0,
            weight => Share::of(share * weight).millionths().max(1), // a small share is no pruned head
        };
        let millionths: Vec<u32> = weights.iter().map(of_head).collect();
        let memory = device.map(|device| upload(&millionths, device)).transpose()?;
        Ok(Some(Self { millionths, memory }))
    }

    /// What share of a row's blocks each head has, in millionths.
    pub(crate) fn millionths(&self) -> &[u32] {
        &self.millionths
    }

    /// The same in device memory; 0 on the CPU.
    pub(crate) fn address(&self) -> u64 {
        self.memory.as_ref().map_or(0, |(_, address)| *address)
    }

    /// Heads whose output is zero.
    pub(crate) fn pruned(&self) -> impl Iterator<Item = usize> {
        self.millionths.iter().enumerate().filter(|(_, share)| **share == 0).map(|(head, _)| head)
    }

    /// Refuses a problem of another number of heads.
    pub(crate) fn check(&self, heads: usize) -> Result<()> {
        if self.millionths.len() == heads {
            return Ok(());
        }
        Err(Error::Shape {
            arg: "heads",
            expected: format!("{}, as many as the kernel's layer has weights", self.millionths.len()),
            got: format!("{heads}"),
        })
    }
}

/// Waits until the copy is there: launches on any stream may read it from then on.
fn upload(words: &[u32], device: &CudaDevice) -> Result<(CudaSlice<u32>, u64)> {
    device.bind()?;
    let (stream, bytes) = (device.stream(), words.len() as u64 * 4);
    let memory = stream.clone_htod(words).map_err(no_memory("copying a layer's shares", "layer", bytes))?;
    stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
    let address = {
        let (address, guard) = memory.device_ptr(stream);
        drop(guard);
        address
    };
    Ok((memory, address))
}
