//! Where the attention of each head truly goes: exact softmax mass per block of keys.
//!
//! This is the yardstick for the selected blocks, so it shares no code with the library.

use super::{input::Qkv, progress::Progress};
use proxyattn::{AsView, Element, Geometry};
use rayon::prelude::*;

/// Up to this many query tokens, every row of blocks is computed.
const EXACT_TOKENS: usize = 8192;
/// Rows of blocks that are computed for longer inputs.
const SAMPLED_ROWS: usize = 128;
/// Queries and keys that the inner loop handles at a time: as much as fits sixteen vector registers.
const QUERIES: usize = 2;
const KEYS: usize = 16;

/// The attention mass of (head, row, block): the share of the row's queries, averaged over its tokens.
#[derive(Debug)]
pub(super) struct BlockMass {
    rows: Vec<usize>,
    blocks: usize,
    /// `[batch · head, row in rows, block]`.
    shares: Vec<f32>,
}

impl BlockMass {
    /// The rows of blocks for which the mass is known, ascending.
    pub(super) fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The mass of each block for the row `self.rows()[index]` of a head; `head` counts through the batch.
    pub(super) fn row(&self, head: usize, index: usize) -> &[f32] {
        let start = (head * self.rows.len() + index) * self.blocks;
        &self.shares[start..start + self.blocks]
    }

    /// Causal attention of `q` over `k`, softmax and sums over blocks.
    pub(super) fn compute<T: Element>(
        qkv: &Qkv<T>,
        geometry: &Geometry,
        scale: f64,
        progress: &Progress,
    ) -> Self {
        let [batch, heads, q_len, _] = qkv.q.shape();
        let kv_heads = qkv.k.shape()[1];
        let all = geometry.rows();
        let rows: Vec<usize> = match q_len <= EXACT_TOKENS || all <= SAMPLED_ROWS {
            true => (0..all).collect(),
            false => (1..=SAMPLED_ROWS).map(|i| i * all / SAMPLED_ROWS - 1).collect(),
        };
        let blocks = geometry.blocks();
        let mut shares = vec![0.0; batch * heads * rows.len() * blocks];
        progress.begin("true mass", batch * heads * rows.len());
        let per_kv = heads / kv_heads * rows.len() * blocks;
        for (kv, shares) in shares.chunks_mut(per_kv).enumerate() {
            let keys = Keys::new(qkv, kv / kv_heads, kv % kv_heads);
            shares.par_chunks_mut(blocks).enumerate().for_each(|(i, shares)| {
                let head = (kv % kv_heads) * (heads / kv_heads) + i / rows.len();
                keys.row_mass(
                    qkv,
                    [kv / kv_heads, head, rows[i % rows.len()]],
                    geometry,
                    scale as f32,
                    shares,
                );
                progress.advance(1);
            });
        }
        Self { rows, blocks, shares }
    }
}

/// The keys of one head as panels `[tokens / KEYS][dim][KEYS]`, so that the inner loop reads them in order.
struct Keys {
    panels: Vec<[f32; KEYS]>,
    dim: usize,
}

impl Keys {
    fn new<T: Element>(qkv: &Qkv<T>, batch: usize, head: usize) -> Self {
        let [_, _, tokens, dim] = qkv.k.shape();
        let k = qkv.k.as_view();
        let mut panels = vec![[0.0; KEYS]; tokens.div_ceil(KEYS) * dim];
        for token in 0..tokens {
            let panel = &mut panels[token / KEYS * dim..][..dim];
            for (lanes, x) in panel.iter_mut().zip(k.row(batch, head, token)) {
                lanes[token % KEYS] = x.to_f32();
            }
        }
        Self { panels, dim }
    }

    /// Adds the mass of one row of blocks to `shares`.
    fn row_mass<T: Element>(
        &self,
        qkv: &Qkv<T>,
        [batch, head, row]: [usize; 3],
        geometry: &Geometry,
        scale: f32,
        shares: &mut [f32],
    ) {
        let q = qkv.q.as_view();
        let tokens = geometry.tokens(row);
        let visible = geometry.visible(row);
        let mut parts = vec![[(0.0, 0.0); QUERIES]; visible];
        let mut logits = vec![[0.0; KEYS]; QUERIES * geometry.keys(0).len().div_ceil(KEYS)];
        let mut queries = vec![[0.0; QUERIES]; self.dim];
        for first in tokens.clone().step_by(QUERIES) {
            let count = QUERIES.min(tokens.end - first);
            for i in 0..count {
                for (lane, x) in queries.iter_mut().zip(q.row(batch, head, first + i)) {
                    lane[i] = x.to_f32() * scale;
                }
            }
            for (block, part) in parts.iter_mut().enumerate() {
                let keys = geometry.keys(block);
                let panels = keys.len().div_ceil(KEYS);
                let start = keys.start / KEYS;
                for p in 0..panels {
                    let tile = dots(&queries, &self.panels[(start + p) * self.dim..][..self.dim]);
                    (0..QUERIES).for_each(|i| logits[i * panels + p] = tile[i]);
                }
                for (i, part) in part.iter_mut().enumerate() {
                    let seen = (geometry.offset() + first + i + 1).min(keys.end).saturating_sub(keys.start);
                    *part = max_and_sum(&logits[i * panels..(i + 1) * panels].as_flattened()[..seen]);
                }
            }
            for i in 0..count {
                let max = parts.iter().fold(f32::MIN, |max, part| max.max(part[i].0));
                let mass = |(m, sum): (f32, f32)| (m - max).exp() * sum;
                let total: f32 = parts.iter().map(|part| mass(part[i])).sum();
                let weight = 1.0 / (total * tokens.len() as f32);
                for (share, part) in shares.iter_mut().zip(&parts) {
                    *share += mass(part[i]) * weight;
                }
            }
        }
    }
}

/// `queries · keys` for one panel of keys.
#[inline]
fn dots(queries: &[[f32; QUERIES]], panel: &[[f32; KEYS]]) -> [[f32; KEYS]; QUERIES] {
    let mut sums = [[0.0; KEYS]; QUERIES];
    for (query, key) in queries.iter().zip(panel) {
        for (sum, x) in sums.iter_mut().zip(query) {
            for (sum, y) in sum.iter_mut().zip(key) {
                *sum += x * y;
            }
        }
    }
    sums
}

/// The largest logit, and the sum of the exponentials relative to it. Nothing seen has no mass.
fn max_and_sum(logits: &[f32]) -> (f32, f32) {
    let max = logits.iter().fold(f32::MIN, |max, &x| max.max(x));
    (max, logits.iter().map(|x| (x - max).exp()).sum())
}
