//! Where the attention of each head truly goes: exact softmax mass per block of keys.

use crate::keys::{Keys, Part, QUERIES, set_query};
use crate::progress::Progress;
use proxyattn_runtime::{Geometry, View};
use rayon::prelude::*;
use std::ops::Range;

/// The attention mass of (head, row, block): the share of the row's queries, averaged over its tokens.
#[derive(Debug)]
pub struct BlockMass {
    rows: Vec<usize>,
    blocks: usize,
    /// `[batch · head, row in rows, block]`.
    shares: Vec<f32>,
}

/// `count` of the rows, evenly spread, the last among them; all of them where they are no more.
pub fn spread(rows: Range<usize>, count: usize) -> Vec<usize> {
    match rows.len() <= count {
        true => rows.collect(),
        false => (1..=count).map(|i| rows.start + i * rows.len() / count - 1).collect(),
    }
}

impl BlockMass {
    /// The rows of blocks for which the mass is known, ascending.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The mass of each block for the row `self.rows()[index]` of a head; `head` counts through the batch.
    ///
    /// # Panics
    /// If an index is out of bounds.
    pub fn row(&self, head: usize, index: usize) -> &[f32] {
        let start = (head * self.rows.len() + index) * self.blocks;
        &self.shares[start..start + self.blocks]
    }

    /// Causal attention of `q [batch, heads, q_len, D]` over `k [batch, kv_heads, kv_len, D]`, softmax and sums over
    /// blocks, for some rows of `geometry`.
    ///
    /// # Panics
    /// If the shapes are not those of `geometry`, or a view is on a GPU.
    pub fn compute<T: Copy + Into<f32> + Sync>(
        q: &View<'_, T>,
        k: &View<'_, T>,
        geometry: &Geometry,
        rows: Vec<usize>,
        scale: f64,
        progress: &Progress,
    ) -> Self {
        let [batch, heads, ..] = q.shape();
        let kv_heads = k.shape()[1];
        let blocks = geometry.blocks();
        let mut shares = vec![0.0; batch * heads * rows.len() * blocks];
        progress.begin("true mass", batch * heads * rows.len());
        let per_kv = heads / kv_heads * rows.len() * blocks;
        for (kv, shares) in shares.chunks_mut(per_kv).enumerate() {
            let (batch, kv_head) = (kv / kv_heads, kv % kv_heads);
            let keys = Keys::mean(k, batch, kv_head..kv_head + 1);
            shares.par_chunks_mut(blocks).enumerate().for_each(|(i, shares)| {
                let head = kv_head * (heads / kv_heads) + i / rows.len();
                row_mass(&keys, q, [batch, head, rows[i % rows.len()]], geometry, scale as f32, shares);
                progress.advance(1);
            });
        }
        Self { rows, blocks, shares }
    }
}

/// Adds the mass of one row of blocks to `shares`.
fn row_mass<T: Copy + Into<f32>>(
    keys: &Keys,
    q: &View<'_, T>,
    [batch, head, row]: [usize; 3],
    geometry: &Geometry,
    scale: f32,
    shares: &mut [f32],
) {
    let tokens = geometry.tokens(row);
    let mut queries = vec![[0.0; QUERIES]; q.shape()[3]];
    for first in tokens.clone().step_by(QUERIES) {
        let count = QUERIES.min(tokens.end - first);
        for i in 0..count {
            set_query(&mut queries, i, q, (batch, head..head + 1, first + i), scale);
        }
        let blocks = (0..geometry.visible(row)).map(|block| geometry.keys(block));
        let seen = std::array::from_fn(|i| geometry.offset() + first + i + 1);
        let parts = keys.parts(&queries, blocks, seen);
        for i in 0..count {
            let all = Part::all(parts.iter().map(|part| part[i]));
            let weight = 1.0 / (all.sum * tokens.len() as f32);
            for (share, part) in shares.iter_mut().zip(&parts) {
                *share += part[i].relative_to(all.max) * weight;
            }
        }
    }
}
