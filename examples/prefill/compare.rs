//! What the selection is worth: attention mass against the best possible blocks, output against dense.

use kit::{input::Qkv, mass::BlockMass};
use proxyattn::synthetic::Needle;
use proxyattn::{AsView, Element, Selection, Tensor};

/// One head of one sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadReport {
    /// Blocks that the last row visits, of those that it sees.
    pub(super) budget: usize,
    pub(super) visible: usize,
    /// Visited causal tiles over causal tiles.
    pub(super) density: f64,
    /// Attention mass inside the selected blocks, averaged over rows.
    pub(super) recall: f64,
    /// The same for the blocks of the largest true mass, as many for each row.
    pub(super) recall_oracle: f64,
}

/// A report for each head, in the order `[batch, head]`.
pub(super) fn heads(selection: &Selection, mass: &BlockMass) -> Vec<HeadReport> {
    let geometry = selection.geometry();
    let last = geometry.rows() - 1;
    let report = |index: usize| {
        let (batch, head) = (index / selection.heads(), index % selection.heads());
        let (mut recall, mut recall_oracle) = (0.0, 0.0);
        let mut ranked = Vec::new();
        for (i, &row) in mass.rows().iter().enumerate() {
            let shares = mass.row(index, i);
            let chosen = selection.blocks(batch, head, row);
            recall += chosen.iter().map(|&block| f64::from(shares[block as usize])).sum::<f64>();
            ranked.clear();
            ranked.extend_from_slice(&shares[..geometry.visible(row)]);
            ranked.sort_unstable_by(|a, b| b.total_cmp(a));
            recall_oracle += ranked[..chosen.len()].iter().map(|&share| f64::from(share)).sum::<f64>();
        }
        let rows = mass.rows().len() as f64;
        HeadReport {
            budget: selection.count(batch, head, last),
            visible: geometry.visible(last),
            density: selection.head_density(batch, head),
            recall: recall / rows,
            recall_oracle: recall_oracle / rows,
        }
    };
    (0..selection.batch() * selection.heads()).map(report).collect()
}

/// The share of (head, planted pair) for which the row of the question visits the block of the needle; `None`
/// where nothing was planted.
pub(super) fn needle_recall(selection: &Selection, needles: &[Needle]) -> Option<f64> {
    let geometry = selection.geometry();
    let (query_block, key_block) = (geometry.tokens(0).len(), geometry.keys(0).len());
    let found = |head: usize, needle: &Needle| {
        // The middle: what lies astride two blocks counts for the one that holds more of it.
        let question = needle.queries.start + needle.queries.len() / 2;
        let key = needle.keys.start + needle.keys.len() / 2;
        selection.blocks(0, head, question / query_block).contains(&((key / key_block) as u32))
    };
    let hits = (0..selection.heads()).map(|head| needles.iter().filter(|needle| found(head, needle)).count());
    (!needles.is_empty()).then(|| hits.sum::<usize>() as f64 / (selection.heads() * needles.len()) as f64)
}

/// `‖a − b‖ / ‖b‖` over all elements.
pub(super) fn relative_l2<T: Element>(a: &Tensor<T>, b: &Tensor<T>) -> f64 {
    let pairs = a.as_slice().iter().zip(b.as_slice());
    let (error, norm) = pairs.fold((0.0, 0.0), |(error, norm), (x, y)| {
        let (x, y) = (f64::from(x.to_f32()), f64::from(y.to_f32()));
        (error + (x - y) * (x - y), norm + y * y)
    });
    if norm > 0.0 { (error / norm).sqrt() } else { error.sqrt() }
}

/// Shapes of an input as a problem.
pub(super) fn problem<T: Element>(input: &Qkv<T>) -> proxyattn::Problem {
    let [batch, heads, q_len, _] = input.q.as_view().shape();
    let [_, kv_heads, kv_len, _] = input.k.as_view().shape();
    proxyattn::Problem { batch, heads, kv_heads, q_len, kv_len }
}
