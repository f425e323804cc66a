//! Block scores of proxy heads, as the kernels define them, in plain loops.

use crate::input::Input;
use kit::keys::{Keys, Part, QUERIES, set_query};
use proxyattn::Geometry;
use std::cmp::Ordering;
use std::ops::Range;

/// A proxy head: the mean of some query heads against the mean of their KV heads.
pub(crate) struct Proxy<'a> {
    pub(crate) heads: Range<usize>,
    pub(crate) keys: &'a Keys,
}

impl Proxy<'_> {
    /// The visible blocks of a row in the order in which the kernel selects them: the pinned ones (sink and diagonal),
    /// then by falling score, the lower index where scores tie.
    ///
    /// The score of a block is the largest probability that a sampled query of the row gives one of its keys, with the
    /// softmax over all keys that the query sees. Sampled is the first of each window of `stride.q` queries; the keys
    /// have no stride. Scores stay logarithms: `max logit − log Σ exp(logit)`.
    pub(crate) fn order<T: Copy + Into<f32>>(&self, input: &Input<'_, T>, row: usize) -> Vec<u32> {
        let geometry = &input.geometry;
        let samples: Vec<usize> = geometry.tokens(row).step_by(input.spec.stride.q as usize).collect();
        let mut scores = vec![f32::MIN; geometry.visible(row)];
        let mut queries = vec![[0.0; QUERIES]; input.q.shape()[3]];
        for pair in samples.chunks(QUERIES) {
            let mut seen = [0; QUERIES];
            for (lane, &token) in pair.iter().enumerate() {
                set_query(&mut queries, lane, &input.q, (0, self.heads.clone(), token), input.scale());
                seen[lane] = geometry.offset() + token + 1;
            }
            let blocks = (0..scores.len()).map(|block| geometry.keys(block));
            let parts = self.keys.parts(&queries, blocks, seen);
            for lane in 0..pair.len() {
                let all = Part::all(parts.iter().map(|part| part[lane]));
                let log_sum = all.max + all.sum.ln();
                for (score, part) in scores.iter_mut().zip(&parts) {
                    *score = score.max(part[lane].max - log_sum);
                }
            }
        }
        ranked(geometry, row, &scores)
    }
}

/// The visible blocks of a row: the pinned ones, then by falling score, the lower index where scores tie.
pub(crate) fn ranked(geometry: &Geometry, row: usize, scores: &[f32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..geometry.visible(row) as u32).collect();
    order.sort_by(|&a, &b| -> Ordering {
        let pinned = |block: u32| geometry.is_pinned(row, block as usize);
        pinned(b).cmp(&pinned(a)).then(scores[b as usize].total_cmp(&scores[a as usize]))
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use half::bf16;
    use proxyattn::codegen::Spec;
    use proxyattn::{AsView, Attention, Device, Tensor};

    /// Numbers from −2 to 2 that repeat for a seed.
    fn random(shape: [usize; 4], mut seed: u32) -> Tensor<bf16> {
        let next = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bf16::from_f32((seed >> 8) as f32 / (1 << 22) as f32 - 2.0)
        };
        let count = shape.iter().product();
        Tensor::from_bhsd((0..count).map(next).collect(), shape).unwrap()
    }

    #[test]
    fn orders_begin_with_what_the_runtime_selects() {
        // A chunk whose offset, 137, is no whole number of blocks, and whose last row is short.
        let (q, k) = (random([1, 8, 900, 64], 1), random([1, 4, 1037, 64], 2));
        for groups in [1, 2, 4] {
            let options = Options { keep: 0.3, ..Options::default() };
            let input = Input::new("", q.as_view(), k.as_view(), &options).unwrap();
            let spec = Spec { groups: Some(groups as u32), ..input.spec };
            let kernel = Attention::load(&spec, &Device::cpu()).unwrap();
            let selection = kernel.prefill_traced(&q, &k, &k, &()).unwrap().selection;
            let (heads, kv_heads) = (8 / groups, 4 / groups);
            for group in 0..groups {
                let keys = Keys::mean(&input.k, 0, group * kv_heads..(group + 1) * kv_heads);
                let proxy = Proxy { heads: group * heads..(group + 1) * heads, keys: &keys };
                for row in 0..selection.geometry().rows() {
                    let selected = selection.list(0, group, row);
                    let mut order = proxy.order(&input, row);
                    order.truncate(selected.len());
                    order.sort_unstable();
                    assert_eq!(order, selected, "{groups} groups, group {group}, row {row}");
                }
            }
        }
    }
}
