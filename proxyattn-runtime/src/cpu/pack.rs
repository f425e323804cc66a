//! Inputs in f32, laid out in the order in which the tiles read them.

use super::simd::{Block, CHUNK, Col, Kernel, PANEL, Row, Simd, dispatch};
use crate::memory::{product, room};
use crate::{Element, Result, View};
use core::mem::MaybeUninit;
use core::ops::Range;
use rayon::prelude::*;

/// `len` elements of `what`, made in parallel pieces of `chunk` by `fill(index of the piece, its elements)`, which come
/// as `zero`. The threads that fill the memory are the first to touch it.
pub(super) fn par_fill<T: Copy + Send + Sync>(
    what: &'static str,
    len: usize,
    chunk: usize,
    zero: T,
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Result<Vec<T>> {
    let mut data = room(what, len)?;
    data.spare_capacity_mut()[..len].par_chunks_mut(chunk).enumerate().for_each(|(i, piece)| {
        piece.fill(MaybeUninit::new(zero));
        // SAFETY: every element of the piece was written just now, and `MaybeUninit<T>` has the layout of `T`.
        fill(i, unsafe { &mut *(core::ptr::from_mut(piece) as *mut [T]) });
    });
    // SAFETY: the pieces cover the first `len` elements, and each was written.
    unsafe { data.set_len(len) };
    Ok(data)
}

/// Keys of several heads: `[head][key / 8][dim][8]`, the keys of a head padded with zeros to whole blocks.
pub(super) struct Keys {
    data: Vec<Col>,
    dim: usize,
    /// Padded keys of a head.
    len: usize,
}

impl Keys {
    /// Heads of `len` keys each, padded to a multiple of `align` and of a chunk, filled piece by piece of as many by
    /// `fill(head, first key, chunks)`; the chunks come zeroed.
    pub(super) fn new(
        what: &'static str,
        heads: usize,
        len: usize,
        align: usize,
        dim: usize,
        fill: impl Fn(usize, usize, &mut [Col]) + Sync,
    ) -> Result<Self> {
        let piece = align.max(CHUNK);
        let len = len.next_multiple_of(piece);
        let (pieces, cols) = (len / piece, piece / CHUNK * dim);
        let data = par_fill(what, product(&[heads, pieces, cols]), cols, [0.0; CHUNK], |i, chunks| {
            fill(i / pieces, i % pieces * piece, chunks);
        })?;
        Ok(Self { data, dim, len })
    }

    /// Every key of `[batch, heads, tokens, dim]`, times `scale`, as heads in that order.
    pub(super) fn pack<T: Element>(k: &View<'_, T>, align: usize, scale: f32) -> Result<Self> {
        let [batch, heads, tokens, dim] = k.shape();
        Self::new("keys", batch * heads, tokens, align, dim, |head, first, chunks| {
            let tokens = first..tokens;
            dispatch(PackKeys { view: k, head: (head / heads, head % heads), tokens, scale, chunks });
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
    pub(super) fn pack<T: Element>(v: &View<'_, T>, block: usize) -> Result<Self> {
        let [batch, heads, tokens, dim] = v.shape();
        let (blocks, stride) = (tokens.div_ceil(block), block * dim / CHUNK);
        let len = product(&[batch, heads, blocks, stride]);
        let data = par_fill("values", len, stride, [0.0; CHUNK], |i, out| {
            let (head, first) = (i / blocks, i % blocks * block);
            for (key, token) in (first..tokens.min(first + block)).enumerate() {
                let (chunks, _) = v.row(head / heads, head % heads, token).as_chunks::<CHUNK>();
                for (chunk, values) in chunks.iter().enumerate() {
                    out[chunk * block + key] = values.map(T::to_f32);
                }
            }
        })?;
        Ok(Self { data, stride, blocks })
    }

    /// A block of a head.
    #[inline(always)]
    pub(super) fn block(&self, head: usize, block: usize) -> &[Col] {
        &self.data[(head * self.blocks + block) * self.stride..][..self.stride]
    }
}

/// Turns keys, the first of `tokens`, into chunks.
struct PackKeys<'a, T> {
    view: &'a View<'a, T>,
    head: (usize, usize),
    tokens: Range<usize>,
    scale: f32,
    chunks: &'a mut [Col],
}

impl<T: Element> Kernel for PackKeys<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let dim = self.view.shape()[3];
        for chunk in self.chunks.chunks_exact_mut(dim) {
            let rows = gather(self.view, self.head, &mut self.tokens);
            let (blocks, _) = chunk.as_chunks_mut::<CHUNK>();
            for (i, block) in blocks.iter_mut().enumerate() {
                *block = s.transpose(&widen(&rows, i, self.scale));
            }
        }
    }
}

/// Eight tokens, each as runs of eight dims.
type Octet<'a, T> = [&'a [[T; CHUNK]]; CHUNK];

/// The next eight of `tokens`; zeros where there are fewer.
#[inline(always)]
fn gather<'a, T: Element>(
    view: &View<'a, T>,
    (batch, head): (usize, usize),
    mut tokens: impl Iterator<Item = usize>,
) -> Octet<'a, T> {
    let dim = view.shape()[3];
    core::array::from_fn(|_| match tokens.next() {
        Some(token) => view.row(batch, head, token).as_chunks().0,
        None => &T::ZEROS.as_chunks().0[..dim / CHUNK],
    })
}

/// The `i`-th eight dims of eight tokens, times `scale`.
#[inline(always)]
fn widen<T: Element>(rows: &Octet<'_, T>, i: usize, scale: f32) -> Block {
    let mut block = Block::default();
    for (out, row) in block.iter_mut().zip(rows) {
        for (x, value) in out.iter_mut().zip(&row[i]) {
            *x = value.to_f32() * scale;
        }
    }
    block
}

/// Puts eight dims of eight tokens into the columns of a panel from lane `first` on.
#[inline(always)]
pub(super) fn put<S: Simd>(s: S, dims: &mut [Row; CHUNK], first: usize, tokens: &Block) {
    let turned = s.transpose(tokens);
    for (row, lanes) in dims.iter_mut().zip(&turned) {
        row[first..first + CHUNK].copy_from_slice(lanes);
    }
}

/// Fills a panel of queries `[dim][32]` with the tokens that `tokens` yields, times `scale`; other rows are 0.
#[inline(always)]
pub(super) fn pack_queries<S: Simd, T: Element>(
    s: S,
    panel: &mut [Row],
    q: &View<'_, T>,
    head: (usize, usize),
    mut tokens: impl Iterator<Item = usize>,
    scale: f32,
) {
    for first in (0..PANEL).step_by(CHUNK) {
        let rows = gather(q, head, &mut tokens);
        let (blocks, _) = panel.as_chunks_mut::<CHUNK>();
        for (i, block) in blocks.iter_mut().enumerate() {
            put(s, block, first, &widen(&rows, i, scale));
        }
    }
}

/// Writes the tokens of a panel `[dim][32]` times `factors` to the rows that `out` yields.
#[inline(always)]
pub(super) fn unpack_output<'a, S: Simd, T: Element>(
    s: S,
    panel: &[Row],
    factors: &Row,
    mut out: impl Iterator<Item = &'a mut [T]>,
) {
    let (blocks, _) = panel.as_chunks::<CHUNK>();
    let (factors, _) = factors.as_chunks::<CHUNK>();
    for (group, factors) in factors.iter().enumerate() {
        let mut rows: [&mut [T]; CHUNK] = std::array::from_fn(|_| out.next().unwrap_or_default());
        for (i, block) in blocks.iter().enumerate() {
            let mut scaled = Block::default();
            for (out, row) in scaled.iter_mut().zip(block) {
                for (lane, x) in out.iter_mut().enumerate() {
                    *x = row[group * CHUNK + lane] * factors[lane];
                }
            }
            let turned = s.transpose(&scaled);
            for (row, dims) in rows.iter_mut().zip(&turned) {
                if let Some(values) =
                    row.get_mut(i * CHUNK..).and_then(|rest| rest.first_chunk_mut::<CHUNK>())
                {
                    for (value, &x) in values.iter_mut().zip(dims) {
                        *value = T::from_f32(x);
                    }
                }
            }
        }
    }
}
