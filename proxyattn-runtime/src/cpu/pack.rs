//! Inputs in f32, laid out in the order in which the tiles read them.

use super::simd::{CHUNK, Col, PANEL, Row};
use crate::{Element, View};
use rayon::prelude::*;

/// Keys of several heads: `[head][key / 8][dim][8]`, the keys of a head padded with zeros to whole blocks.
pub(super) struct Keys {
    data: Vec<Col>,
    dim: usize,
    /// Padded keys of a head.
    len: usize,
}

impl Keys {
    /// Heads of `len` keys each, padded to a multiple of `align`, filled chunk by chunk by
    /// `fill(head, first key, chunk)`; the chunk comes zeroed.
    pub(super) fn new(
        heads: usize,
        len: usize,
        align: usize,
        dim: usize,
        fill: impl Fn(usize, usize, &mut [Col]) + Sync,
    ) -> Self {
        let len = len.next_multiple_of(align.max(CHUNK));
        let chunks = len / CHUNK;
        let mut data = vec![[0.0; CHUNK]; heads * chunks * dim];
        data.par_chunks_mut(dim).enumerate().for_each(|(i, chunk)| fill(i / chunks, i % chunks * CHUNK, chunk));
        Self { data, dim, len }
    }

    /// Every key of `[batch, heads, tokens, dim]`, as heads in that order.
    pub(super) fn pack<T: Element>(k: &View<'_, T>, align: usize) -> Self {
        let [batch, heads, tokens, dim] = k.shape();
        Self::new(batch * heads, tokens, align, dim, |head, first, chunk| {
            for (i, token) in (first..tokens.min(first + CHUNK)).enumerate() {
                for (col, x) in chunk.iter_mut().zip(k.row(head / heads, head % heads, token)) {
                    col[i] = x.to_f32();
                }
            }
        })
    }

    /// `count` keys of a head from `first` on, both multiples of 8.
    #[inline(always)]
    pub(super) fn range(&self, head: usize, first: usize, count: usize) -> &[Col] {
        let start = (head * self.len + first) / CHUNK * self.dim;
        &self.data[start..start + count / CHUNK * self.dim]
    }
}

/// Values of several heads: `[head][block][dim / 8][key][8]`, the keys padded with zeros to whole blocks.
pub(super) struct Values {
    data: Vec<Col>,
    /// Columns of a block: `block · dim / 8`.
    stride: usize,
    blocks: usize,
}

impl Values {
    pub(super) fn pack<T: Element>(v: &View<'_, T>, block: usize) -> Self {
        let [batch, heads, tokens, dim] = v.shape();
        let (blocks, stride) = (tokens.div_ceil(block), block * dim / CHUNK);
        let mut data = vec![[0.0; CHUNK]; batch * heads * blocks * stride];
        data.par_chunks_mut(stride).enumerate().for_each(|(i, out)| {
            let (head, first) = (i / blocks, i % blocks * block);
            for (key, token) in (first..tokens.min(first + block)).enumerate() {
                let (chunks, _) = v.row(head / heads, head % heads, token).as_chunks::<CHUNK>();
                for (chunk, values) in chunks.iter().enumerate() {
                    out[chunk * block + key] = values.map(T::to_f32);
                }
            }
        });
        Self { data, stride, blocks }
    }

    /// A block of a head.
    #[inline(always)]
    pub(super) fn block(&self, head: usize, block: usize) -> &[Col] {
        &self.data[(head * self.blocks + block) * self.stride..][..self.stride]
    }
}

/// Fills a panel of queries `[dim][32]` with the tokens that `tokens` yields, times `scale`; other rows are 0.
pub(super) fn pack_queries<T: Element>(
    panel: &mut [Row],
    q: &View<'_, T>,
    batch: usize,
    head: usize,
    tokens: impl Iterator<Item = usize>,
    scale: f32,
) {
    panel.fill([0.0; PANEL]);
    for (i, token) in tokens.enumerate().take(PANEL) {
        for (row, x) in panel.iter_mut().zip(q.row(batch, head, token)) {
            row[i] = x.to_f32() * scale;
        }
    }
}
