//! Proxy heads: the mean of a group's queries and of its keys, on strided tokens.

use super::e4m3::{self, Centres};
use crate::cpu::inputs::Scale;
use crate::cpu::pack::{Keys, par_fill, put};
use crate::cpu::simd::{Block, CHUNK, Col, Kernel, PANEL, Row, Simd, dispatch};
use crate::memory::product;
use crate::{Element, Plan, Result, View, inputs::Inputs};
use core::ops::Range;
use proxyattn_codegen::{Pools, Precision, Proxy, Sums};

/// The proxy heads of a prefill.
///
/// Sample `s` of the queries is token `s · stride.q`; sample `s` of the keys is token `s · stride.kv`.
pub(super) struct Proxies<'a> {
    /// `[batch · group][query sample / 32][dim][32]`, times `scale · log₂e`.
    queries: Vec<Row>,
    keys: KeySamples<'a>,
    pub(super) query_samples: usize,
    pub(super) sums: Sums,
    pub(super) pool: Pools,
    dim: usize,
}

enum KeySamples<'a> {
    /// One KV head a group, no stride and nothing to round: the proxy's keys are the keys.
    Same(&'a Keys),
    Pooled(Keys),
}

impl<'a> Proxies<'a> {
    pub(super) fn pool<T: Element>(
        plan: &Plan,
        proxy: &Proxy,
        inputs: &Inputs<'_, T>,
        keys: &'a Keys,
        scale: Scale,
    ) -> Result<Self> {
        let (spec, problem) = (plan.spec(), plan.problem());
        let (dim, groups) = (spec.head_dim as usize, plan.groups());
        let sequences = problem.batch * groups;
        let (q, k) = (&inputs.q, &inputs.k);
        let of_queries = |sequence| Mean::of(q, (sequence, groups), spec.stride.q as usize);
        let of_keys = |sequence, stride| Mean::of(k, (sequence, groups), stride);

        // The keys of a block have a power of two in common, and a block of samples may be smaller than a chunk.
        let samples_per_block = spec.block_samples().kv as usize;
        let centres = match proxy.scores {
            Precision::Native => None,
            Precision::E4m3 => {
                let at_blocks = |sequence| of_keys(sequence, spec.block.kv as usize);
                Some(Centres::of::<T>(sequences, dim, at_blocks)?)
            }
        };

        let query_samples = problem.q_len.div_ceil(spec.stride.q as usize);
        let panels = query_samples.div_ceil(PANEL);
        let len = product(&[sequences, panels, dim]);
        let queries = par_fill("proxy queries", len, dim, [0.0; PANEL], |i, panel| {
            let (mean, first) = (of_queries(i / panels), i % panels * PANEL);
            let finish = match &centres {
                None => Finish::Scale(scale.queries),
                Some(_) => Finish::Round { centre: None, run: 1, factor: scale.queries },
            };
            dispatch(PoolPanel { mean, finish, first, panel });
        })?;

        let is_mean = problem.kv_heads > groups || spec.stride.kv > 1;
        let keys = if centres.is_none() && !is_mean {
            KeySamples::Same(keys)
        } else {
            let samples = problem.kv_len.div_ceil(spec.stride.kv as usize);
            let pool = |sequence, first, chunks: &mut [Col]| {
                let finish = match &centres {
                    None => Finish::Scale(scale.keys),
                    Some(centres) => Finish::Round {
                        centre: Some(centres.of_sequence(sequence)),
                        run: samples_per_block,
                        factor: scale.keys,
                    },
                };
                let mean = of_keys(sequence, spec.stride.kv as usize);
                dispatch(PoolChunks { mean, finish, first, dim, chunks });
            };
            KeySamples::Pooled(Keys::new("proxy keys", sequences, samples, samples_per_block, dim, pool)?)
        };
        // The sums of all blocks' keys are those of the keys.
        let sums = if proxy.pool == Pools::Sum { Sums::Maxima } else { proxy.sums };
        Ok(Self { queries, keys, query_samples, sums, pool: proxy.pool, dim })
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

/// A proxy head: the mean of some heads on strided tokens.
pub(super) struct Mean<'a, T> {
    view: &'a View<'a, T>,
    batch: usize,
    heads: Range<usize>,
    stride: usize,
    pub(super) samples: usize,
}

impl<'a, T: Element> Mean<'a, T> {
    /// Of one of `batch · groups` sequences, whose heads the groups share evenly.
    fn of(view: &'a View<'a, T>, (sequence, groups): (usize, usize), stride: usize) -> Self {
        let [_, heads, tokens, _] = view.shape();
        let (batch, group, size) = (sequence / groups, sequence % groups, heads / groups);
        let heads = group * size..(group + 1) * size;
        Self { view, batch, heads, stride, samples: tokens.div_ceil(stride) }
    }

    /// Samples from `first` on, as rows of `dim`; zeros past the last. Returns the rows that are samples.
    #[inline(always)]
    pub(super) fn fill<'r>(&self, first: usize, rows: &'r mut [f32]) -> &'r mut [f32] {
        let dim = self.view.shape()[3];
        let (samples, rest) = rows.split_at_mut(rows.len().min((self.samples.max(first) - first) * dim));
        rest.fill(0.0);
        // The sum of large ones may leave f32, so that each head is scaled down by a power of two, which rounds nothing.
        let heads = self.heads.len();
        let part = 1.0 / heads.next_power_of_two() as f32;
        let share = heads.next_power_of_two() as f32 / heads as f32;
        samples.fill(0.0);
        for (row, sample) in samples.chunks_exact_mut(dim).zip(first..) {
            for head in self.heads.clone() {
                for (sum, x) in row.iter_mut().zip(self.view.row(self.batch, head, sample * self.stride)) {
                    *sum += x.to_f32() * part;
                }
            }
            row.iter_mut().for_each(|sum| *sum *= share);
        }
        samples
    }
}

/// What becomes of means before they are multiplied.
#[derive(Clone, Copy)]
enum Finish<'a> {
    /// They are multiplied by a factor.
    Scale(f32),
    /// Each `run` of them, less the centre, is rounded to e4m3 under a power of two, and multiplied by both then.
    Round { centre: Option<&'a [f32]>, run: usize, factor: f32 },
}

impl Finish<'_> {
    /// Of samples as rows.
    #[inline(always)]
    fn rows(self, samples: &mut [f32], dim: usize) {
        match self {
            Finish::Scale(factor) => samples.iter_mut().for_each(|x| *x *= factor),
            Finish::Round { centre: Some(centre), .. } => {
                samples.chunks_exact_mut(dim).for_each(|sample| e4m3::subtract(sample, centre));
            }
            Finish::Round { centre: None, .. } => {}
        }
    }

    /// Of all samples that have something in common, as lanes of columns.
    #[inline(always)]
    fn columns<const LANES: usize>(self, columns: &mut [[f32; LANES]]) {
        match self {
            Finish::Scale(_) => {}
            Finish::Round { run, factor, .. } => e4m3::round(columns, run, factor),
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
    finish: Finish<'a>,
    first: usize,
    panel: &'a mut [Row],
}

impl<T: Element> Kernel for PoolPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let dim = self.panel.len();
        let mut rows = vec![0.0; dim * CHUNK];
        for lane in (0..PANEL).step_by(CHUNK) {
            self.finish.rows(self.mean.fill(self.first + lane, &mut rows), dim);
            let (blocks, _) = self.panel.as_chunks_mut::<CHUNK>();
            for (i, block) in blocks.iter_mut().enumerate() {
                put(s, block, lane, &square(&rows, i * CHUNK));
            }
        }
        self.finish.columns(self.panel);
    }
}

/// Fills chunks `[dim][8]` with samples: those of a block, or of the blocks that a chunk holds.
struct PoolChunks<'a, T> {
    mean: Mean<'a, T>,
    finish: Finish<'a>,
    first: usize,
    dim: usize,
    chunks: &'a mut [Col],
}

impl<T: Element> Kernel for PoolChunks<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut rows = vec![0.0; self.dim * CHUNK];
        for (i, chunk) in self.chunks.chunks_exact_mut(self.dim).enumerate() {
            self.finish.rows(self.mean.fill(self.first + i * CHUNK, &mut rows), self.dim);
            let (blocks, _) = chunk.as_chunks_mut::<CHUNK>();
            for (i, block) in blocks.iter_mut().enumerate() {
                *block = s.transpose(&square(&rows, i * CHUNK));
            }
        }
        self.finish.columns(self.chunks);
    }
}
