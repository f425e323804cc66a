//! One layer's queries and keys, checked, with the geometry of the kernel that would run on them.

use crate::{Error, Options, Result};
use proxyattn::codegen::{Budget, Spec};
use proxyattn::{Geometry, Plan, Problem, View};

/// The configuration that is measured: the attribute's defaults but for a flat share of the blocks, and for products and sums
/// as they are, since the measurement is about heads. `groups` is what varies.
pub(crate) fn spec(head_dim: usize, options: &Options) -> Spec {
    let budget = Budget::ratio(options.keep);
    Spec {
        head_dim: head_dim as u32,
        scale: options.scale,
        budget,
        scorer: Spec::PAPER.scorer,
        ..Spec::DEFAULT
    }
}

/// A layer that can be measured.
pub(crate) struct Input<'a, T> {
    pub(crate) q: View<'a, T>,
    pub(crate) k: View<'a, T>,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) spec: Spec,
    pub(crate) geometry: Geometry,
}

impl<'a, T: Copy + Into<f32>> Input<'a, T> {
    /// Refuses what cannot be measured.
    pub(crate) fn new(layer: &str, q: View<'a, T>, k: View<'a, T>, options: &Options) -> Result<Self> {
        let refuse = |arg, expected: &str, got: String| {
            Err(Error::Layer { layer: layer.into(), arg, expected: expected.into(), got })
        };
        for (arg, view) in [("q", &q), ("k", &k)] {
            if !view.is_on_host() {
                return refuse(arg, "host memory", "a tensor on a GPU".into());
            }
            if view.shape()[0] != 1 {
                return refuse(arg, "one sequence (axis 0)", format!("shape {:?}", view.shape()));
            }
        }
        let ([_, heads, q_len, head_dim], [_, kv_heads, kv_len, k_dim]) = (q.shape(), k.shape());
        if k_dim != head_dim {
            let expected = format!("the head_dim of q, {head_dim}");
            return refuse("k", &expected, format!("shape {:?}", k.shape()));
        }
        let kernel = |error| Error::Kernel { layer: layer.into(), error: Box::new(error) };
        let problem = Problem { batch: 1, heads, kv_heads, q_len, kv_len };
        let spec = spec(head_dim, options);
        let geometry = Plan::new(&spec, &problem).map_err(kernel)?.geometry();
        for (arg, view) in [("q", &q), ("k", &k)] {
            if let Some((head, token)) = not_finite(view) {
                return refuse(
                    arg,
                    "finite values",
                    format!("NaN or infinity at head {head}, token {token}"),
                );
            }
        }
        Ok(Self { q, k, heads, kv_heads, spec, geometry })
    }

    /// The key position of the last query of a row.
    pub(crate) fn position(&self, row: usize) -> usize {
        self.geometry.offset() + self.geometry.tokens(row).end - 1
    }

    pub(crate) fn scale(&self) -> f32 {
        self.spec.softmax_scale() as f32
    }

    pub(crate) fn heads_per_kv(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// Where the first NaN or infinity stands, as head and token.
fn not_finite<T: Copy + Into<f32>>(view: &View<'_, T>) -> Option<(usize, usize)> {
    let [_, heads, tokens, _] = view.shape();
    let all = (0..heads).flat_map(|head| (0..tokens).map(move |token| (head, token)));
    let finite = |&x: &T| -> bool { Into::<f32>::into(x).is_finite() };
    all.into_iter().find(|&(head, token)| !view.row(0, head, token).iter().all(finite))
}
