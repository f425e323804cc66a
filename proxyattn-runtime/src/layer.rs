//! What a kernel gets to know of the layer that it is loaded for.

mod scores;
mod spans;

pub use scores::HeadShares;
pub use spans::{HeadSpan, HeadSpans};

use crate::{Error, Result};
use cudarc::driver::{CudaSlice, DevicePtr};
use proxyattn_codegen::{OfLayer, Share, Spec};

use crate::cuda::CudaDevice;
use crate::cuda::device::{failed, no_memory};

/// What a layer's query heads have of its blocks: weights for kernels of `budget = per_head(…)`, spans for those of
/// `budget = spans(…)`.
///
/// A head of weight 1 has the share that the budget names, a head of weight 2 twice as much, and a head of weight 0 is *pruned*.
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
    /// None if it has none.
    weights: Vec<f64>,
    /// None if it has none.
    spans: Vec<HeadSpan>,
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
        Ok(Self { weights: weights.to_vec(), spans: Vec::new() })
    }

    /// A span for each query head, in their order.
    ///
    /// # Errors
    /// [`Error::Shape`] for no spans, and for one whose `beta` is outside of [0, 1].
    pub fn from_spans(spans: &[HeadSpan]) -> Result<Self> {
        if spans.is_empty() {
            return Err(Error::Shape {
                arg: "spans",
                expected: "a span for each query head".into(),
                got: "none".into(),
            });
        }
        if let Some(head) = spans.iter().position(|span| !(0.0..=1.0).contains(&span.beta)) {
            return Err(Error::Shape {
                arg: "spans",
                expected: "a `beta` in [0, 1]".into(),
                got: format!("{} of head {head}", spans[head].beta),
            });
        }
        Ok(Self { weights: Vec::new(), spans: spans.to_vec() })
    }

    /// Weights and spans that are those of every one of so many heads, where nothing is known of a model: a weight of 1, and a
    /// span of half the context. Programs that measure any configuration load it for this layer.
    ///
    /// # Errors
    /// [`Error::Shape`] for no heads.
    pub fn alike(heads: usize) -> Result<Self> {
        let Self { spans, .. } = Self::from_spans(&vec![HeadSpan { alpha: 0, beta: 0.5 }; heads])?;
        Ok(Self { spans, ..Self::new(&vec![1.0; heads])? })
    }

    /// The weights; none of a layer of spans.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The spans; none of a layer of weights.
    pub fn spans(&self) -> &[HeadSpan] {
        &self.spans
    }

    /// What a budget asks for, as the kernels' buffer has it, and of how many heads; none of a layer without it.
    fn words(&self, of_layer: OfLayer) -> (Vec<u32>, usize) {
        match of_layer {
            OfLayer::Shares(share) => {
                let of_head = |&weight: &f64| match weight {
                    0.0 => 0,
                    weight => Share::of(share * weight).millionths().max(1), // a small share is no pruned head
                };
                (self.weights.iter().map(of_head).collect(), self.weights.len())
            }
            OfLayer::Spans => (self.spans.iter().flat_map(|span| span.words()).collect(), self.spans.len()),
        }
    }
}

/// A layer as a loaded kernel has it.
pub(crate) struct Layer {
    of_layer: OfLayer,
    heads: usize,
    /// Of each head, as the kernels' buffer has it.
    words: Vec<u32>,
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
        let Some(of_layer) = spec.budget.of_layer() else { return Ok(None) };
        let (given, what, from) = match of_layer {
            OfLayer::Shares(_) => ("weight", "share", "of `HeadShares::layer`, or `LayerShares::new`"),
            OfLayer::Spans => ("span", "span", "of `HeadSpans::layer`, or `LayerShares::from_spans`"),
        };
        let (words, heads) = shares.map(|shares| shares.words(of_layer)).unwrap_or_default();
        if heads == 0 {
            return Err(Error::Unavailable {
                what: format!("loading `{name}` without its layer"),
                why: format!("`budget = {}` has a {what} for each head of each layer", spec.budget),
                help: format!("call `load_layer` with a `LayerShares`: {from}"),
            });
        }
        if let Some(declared) = spec.heads
            && declared as usize != heads
        {
            return Err(Error::Shape {
                arg: "layer",
                expected: format!("a {given} for each of the {declared} heads that the kernel declares"),
                got: format!("{heads}"),
            });
        }
        let memory = device.map(|device| upload(&words, device)).transpose()?;
        Ok(Some(Self { of_layer, heads, words, memory }))
    }

    /// What share of a row's blocks a head has, in millionths; of a layer of weights.
    pub(crate) fn millionths(&self, head: usize) -> usize {
        self.words[head] as usize
    }

    /// The tokens of a head's span, over so many keys; of a layer of spans.
    pub(crate) fn span(&self, head: usize, kv_len: usize) -> usize {
        HeadSpan::tokens([self.words[head * 2], self.words[head * 2 + 1]], kv_len)
    }

    /// The same in device memory; 0 on the CPU.
    pub(crate) fn address(&self) -> u64 {
        self.memory.as_ref().map_or(0, |(_, address)| *address)
    }

    /// Heads whose output is zero.
    pub(crate) fn pruned(&self) -> impl Iterator<Item = usize> {
        let shares = match self.of_layer {
            OfLayer::Shares(_) => &self.words[..],
            OfLayer::Spans => &[],
        };
        shares.iter().enumerate().filter(|(_, share)| **share == 0).map(|(head, _)| head)
    }

    /// Refuses a problem of another number of heads.
    pub(crate) fn check(&self, heads: usize) -> Result<()> {
        if self.heads == heads {
            return Ok(());
        }
        let given = match self.of_layer {
            OfLayer::Shares(_) => "weights",
            OfLayer::Spans => "spans",
        };
        Err(Error::Shape {
            arg: "heads",
            expected: format!("{}, as many as the kernel's layer has {given}", self.heads),
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
