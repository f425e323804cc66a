//! Proxy heads: the mean of a group's queries and of its keys, on strided tokens.

use crate::cpu::inputs::Scale;
use crate::cpu::pack::{Keys, par_fill, put};
use crate::cpu::simd::{Block, CHUNK, Col, Kernel, PANEL, Row, Simd, dispatch};
use crate::memory::product;
use crate::{Element, Plan, Result, View, inputs::Inputs};
use core::ops::Range;

/// The proxy heads of a prefill.
///
/// Sample `s` of the queries is token `s · stride.q`; sample `s` of the keys is token `s · stride.kv`.
pub(in crate::cpu::scorer) struct Proxies<'a> {
    /// `[batch · group][query sample / 32][dim][32]`, times `scale · log₂e`.
    queries: Vec<Row>,
    keys: KeySamples<'a>,
    pub(super) query_samples: usize,
    dim: usize,
}

enum KeySamples<'a> {
    /// One KV head a group and no stride: the proxy's keys are the keys.
    Same(&'a Keys),
    Pooled(Keys),
}

impl<'a> Proxies<'a> {
    pub(in crate::cpu::scorer) fn pool<T: Element>(
        plan: &Plan,
        inputs: &Inputs<'_, T>,
        keys: &'a Keys,
        scale: Scale,
    ) -> Result<Self> {
        let (spec, problem) = (plan.spec(), plan.problem());
        let (dim, groups) = (spec.head_dim as usize, plan.groups());
        let stride_q = spec.stride.q as usize;
        let stride_kv = spec.stride.kv as usize;

        let query_samples = problem.q_len.div_ceil(stride_q);
        let panels = query_samples.div_ceil(PANEL);
        let heads = plan.heads_per_group();
        let len = product(&[problem.batch, groups, panels, dim]);
        let queries = par_fill("proxy queries", len, dim, [0.0; PANEL], |i, panel| {
            let (sequence, first) = (i / panels, i % panels * PANEL);
            let (batch, group) = (sequence / groups, sequence % groups);
            let heads = group * heads..(group + 1) * heads;
            let factor = scale.queries;
            let mean =
                Mean { view: &inputs.q, batch, heads, stride: stride_q, samples: query_samples, factor };
            dispatch(PoolPanel { mean, first, panel });
        })?;

        let key_samples = problem.kv_len.div_ceil(stride_kv);
        let kv_heads = problem.kv_heads / groups;
        let keys = if kv_heads == 1 && stride_kv == 1 {
            KeySamples::Same(keys)
        } else {
            // Whole blocks of samples, and a block of samples may be smaller than a chunk.
            let align = (spec.block.kv / spec.stride.kv) as usize;
            KeySamples::Pooled(Keys::new(
                "proxy keys",
                problem.batch * groups,
                key_samples,
                align,
                dim,
                |sequence, first, chunk| {
                    let (batch, group) = (sequence / groups, sequence % groups);
                    let heads = group * kv_heads..(group + 1) * kv_heads;
                    let factor = scale.keys;
                    let mean = Mean {
                        view: &inputs.k,
                        batch,
                        heads,
                        stride: stride_kv,
                        samples: key_samples,
                        factor,
                    };
                    dispatch(PoolChunk { mean, first, chunk });
                },
            )?)
        };
        Ok(Self { queries, keys, query_samples, dim })
    }

    /// A panel of 32 query samples of a sequence and group.
    #[inline(always)]
    pub(super) fn queries(&self, sequence: usize, panel: usize) -> &[Row] {
        let panels = self.query_samples.div_ceil(PANEL);
        &self.queries[(sequence * panels + panel) * self.dim..][..self.dim]
    }

    /// The keys, as heads `batch · groups + group`.
    #[inline(always)]
    pub(super) fn keys(&self) -> &Keys {
        match &self.keys {
            KeySamples::Same(keys) => keys,
            KeySamples::Pooled(keys) => keys,
        }
    }
}

/// A proxy head: the mean of some heads on strided tokens, times a factor.
struct Mean<'a, T> {
    view: &'a View<'a, T>,
    batch: usize,
    heads: Range<usize>,
    stride: usize,
    samples: usize,
    factor: f32,
}

impl<T: Element> Mean<'_, T> {
    /// Eight samples from `first` on, as rows of `dim`; zeros past the last.
    #[inline(always)]
    fn samples(&self, first: usize, rows: &mut [f32]) {
        let dim = rows.len() / CHUNK;
        let share = 1.0 / self.heads.len() as f32; // taken of each head: the sum of large ones may leave f32
        rows.fill(0.0);
        for (row, sample) in rows.chunks_exact_mut(dim).zip(first..self.samples) {
            for head in self.heads.clone() {
                for (sum, x) in row.iter_mut().zip(self.view.row(self.batch, head, sample * self.stride)) {
                    *sum += x.to_f32() * share;
                }
            }
            for sum in row {
                *sum *= self.factor;
            }
        }
    }
}

/// Eight dims, from `dim` on, of eight rows.
#[inline(always)]
fn square(rows: &[f32], dim: usize) -> Block {
    let mut block = Block::default();
    for (out, row) in block.iter_mut().zip(rows.chunks_exact(rows.len() / CHUNK)) {
        out.copy_from_slice(&row[dim..dim + CHUNK]);
    }
    block
}

/// Fills a panel `[dim][32]` with samples.
struct PoolPanel<'a, T> {
    mean: Mean<'a, T>,
    first: usize,
    panel: &'a mut [Row],
}

impl<T: Element> Kernel for PoolPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut rows = vec![0.0; self.panel.len() * CHUNK];
        for lane in (0..PANEL).step_by(CHUNK) {
            self.mean.samples(self.first + lane, &mut rows);
            let (blocks, _) = self.panel.as_chunks_mut::<CHUNK>();
            for (i, block) in blocks.iter_mut().enumerate() {
                put(s, block, lane, &square(&rows, i * CHUNK));
            }
        }
    }
}

/// Fills a chunk `[dim][8]` with samples.
struct PoolChunk<'a, T> {
    mean: Mean<'a, T>,
    first: usize,
    chunk: &'a mut [Col],
}

impl<T: Element> Kernel for PoolChunk<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut rows = vec![0.0; self.chunk.len() * CHUNK];
        self.mean.samples(self.first, &mut rows);
        let (blocks, _) = self.chunk.as_chunks_mut::<CHUNK>();
        for (i, block) in blocks.iter_mut().enumerate() {
            *block = s.transpose(&square(&rows, i * CHUNK));
        }
    }
}
