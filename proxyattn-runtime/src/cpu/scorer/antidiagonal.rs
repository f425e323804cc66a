//! The scorer `antidiagonal`: strided queries against strided keys, in which every token of both counts once.

use super::{Contract, Prepared, Scores, log2_sum};
use crate::cpu::inputs::Scale;
use crate::cpu::pack::{Keys, par_fill};
use crate::cpu::simd::{CHUNK, Kernel, PANEL, Row, Simd, dispatch};
use crate::cpu::tile;
use crate::inputs::Inputs;
use crate::memory::{filled, product, room};
use crate::{Element, Observer, Plan, Result, Stage, View};
use core::ops::Range;
use proxyattn_codegen::Antidiagonal;
use rayon::prelude::*;

/// The windows of a group's tokens, each as one row of `stride · dim` elements: its tokens' means over the group's heads.
struct Windows<'a, T> {
    view: &'a View<'a, T>,
    batch: usize,
    heads: Range<usize>,
    stride: usize,
}

impl<'a, T: Element> Windows<'a, T> {
    /// Of one of `batch · groups` sequences, whose heads the groups share evenly.
    fn of(view: &'a View<'a, T>, (sequence, groups): (usize, usize), stride: usize) -> Self {
        let (batch, group, size) = (sequence / groups, sequence % groups, view.shape()[1] / groups);
        Self { view, batch, heads: group * size..(group + 1) * size, stride }
    }

    /// Passes the mean of each token of a window to `put`, with the token's place in the window. Those that it lacks are left.
    fn each(&self, window: usize, mean: &mut [f32], mut put: impl FnMut(usize, &[f32])) {
        // The sum of large ones may leave f32, so that each head is scaled down by a power of two, which rounds nothing.
        let heads = self.heads.len();
        let part = 1.0 / heads.next_power_of_two() as f32;
        let share = heads.next_power_of_two() as f32 / heads as f32;
        let first = window * self.stride;
        for token in first..self.view.shape()[2].min(first + self.stride) {
            mean.fill(0.0);
            for head in self.heads.clone() {
                for (sum, x) in mean.iter_mut().zip(self.view.row(self.batch, head, token)) {
                    *sum += x.to_f32() * part;
                }
            }
            mean.iter_mut().for_each(|sum| *sum *= share);
            put(token - first, mean);
        }
    }
}

/// Windows of queries and keys as they are multiplied.
struct Strided {
    /// `[batch · group][window / 32][place · dim][32]`, the last token of a window first, times `scale · log₂e / stride`.
    queries: Vec<Row>,
    /// The first token of a window first.
    keys: Keys,
    windows: usize,
    /// Elements of a window.
    width: usize,
}

impl Contract for Antidiagonal {
    fn prepare<'a, T: Element>(
        &self,
        plan: &Plan,
        inputs: &Inputs<'_, T>,
        _: &'a Keys,
        scale: Scale,
    ) -> Result<Box<dyn Prepared + 'a>> {
        let (problem, groups, stride) = (plan.problem(), plan.groups(), self.stride as usize);
        let (sequences, dim) = (problem.batch * groups, plan.spec().head_dim as usize);
        let (width, windows) = (stride * dim, problem.q_len.div_ceil(stride));
        let panels = windows.div_ceil(PANEL);

        let factor = scale.queries / stride as f32;
        let len = product(&[sequences, panels, width]);
        let queries = par_fill("strided queries", len, width, [0.0; PANEL], |i, panel| {
            let (of, mut mean) = (Windows::of(&inputs.q, (i / panels, groups), stride), vec![0.0; dim]);
            for lane in 0..PANEL {
                of.each(i % panels * PANEL + lane, &mut mean, |place, token| {
                    let columns = &mut panel[(stride - 1 - place) * dim..][..dim];
                    columns.iter_mut().zip(token).for_each(|(column, x)| column[lane] = x * factor);
                });
            }
        })?;

        let samples = problem.kv_len.div_ceil(stride);
        let per_block = plan.spec().block_samples().kv as usize;
        let fill = |sequence, first, chunks: &mut [[f32; CHUNK]]| {
            let (of, mut mean) = (Windows::of(&inputs.k, (sequence, groups), stride), vec![0.0; dim]);
            for (i, chunk) in chunks.chunks_exact_mut(width).enumerate() {
                for lane in 0..CHUNK {
                    of.each(first + i * CHUNK + lane, &mut mean, |place, token| {
                        let columns = &mut chunk[place * dim..][..dim];
                        columns.iter_mut().zip(token).for_each(|(column, x)| column[lane] = x * scale.keys);
                    });
                }
            }
        };
        let keys = Keys::new("strided keys", sequences, samples, per_block, width, fill)?;
        Ok(Box::new(Strided { queries, keys, windows, width }))
    }
}

impl Prepared for Strided {
    fn score(&self, plan: &Plan, observer: &dyn Observer) -> Result<Scores> {
        let geometry = plan.geometry();
        let (rows, blocks) = (geometry.rows(), geometry.blocks());
        let sequences = plan.problem().batch * plan.groups();
        // A panel has whole rows of blocks: there are at most 128 / 4 windows in one.
        let rows_per_panel = PANEL / plan.spec().block_samples().q as usize;
        let mut data = filled("scores", product(&[sequences, rows, blocks]), f32::NEG_INFINITY)?;
        observer.begin(Stage::Score, sequences * rows.div_ceil(rows_per_panel));
        data.par_chunks_mut(rows * blocks).enumerate().try_for_each(|(sequence, data)| {
            // The last rows see the most keys: begin with them.
            let panels = data.par_chunks_mut(rows_per_panel * blocks).enumerate().rev().with_max_len(1);
            panels.try_for_each(|(panel, scores)| {
                dispatch(Unit { plan, strided: self, sequence, panel, scores })?;
                observer.advance(Stage::Score, 1);
                Ok(())
            })
        })?;
        Ok(Scores { data, rows, blocks })
    }
}

/// A panel of windows of queries against every window of keys that they see.
struct Unit<'a> {
    plan: &'a Plan,
    strided: &'a Strided,
    sequence: usize,
    panel: usize,
    /// `[row][block]`.
    scores: &'a mut [f32],
}

impl Kernel for Unit<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Result<()> {
        let Unit { plan, strided: &Strided { ref queries, ref keys, windows, width }, .. } = self;
        let (window, samples, blocks) =
            (plan.spec().sample_window(), plan.spec().block_samples(), plan.geometry().blocks());
        let (per_row, per_block) = (samples.q as usize, samples.kv as usize);
        let panel = &queries[(self.sequence * windows.div_ceil(PANEL) + self.panel) * width..][..width];

        let first_window = self.panel * PANEL;
        let lanes = PANEL.min(windows - first_window);
        // Lanes past the last window see what the last one does: nobody reads them.
        let limits: [u32; PANEL] = std::array::from_fn(|lane| {
            plan.geometry().seen_samples(window, first_window + lane.min(lanes - 1)) as u32
        });
        let seen = limits.iter().fold(0, |max, &limit| limit.max(max)) as usize;
        // The base-2 logarithm of what the keys of each block sum to, of each lane.
        let mut sums = room("scores", seen.div_ceil(per_block))?;
        let tile_len = per_block.max(CHUNK);
        let mut tile = vec![[0.0; PANEL]; tile_len];
        for first in (0..seen).step_by(tile_len) {
            let tile = &mut tile[..tile::reach(first, tile_len, &limits)];
            tile::scores(s, keys.range(self.sequence, first, tile_len), panel, tile);
            tile::mask(tile, first, &limits);
            for block in tile.chunks(per_block).take(seen.div_ceil(per_block) - first / per_block) {
                let max = tile::row_max(s, block, &[tile::MASKED; PANEL]);
                let sum = tile::sum_exp(s, block, &max);
                sums.push(core::array::from_fn::<_, PANEL, _>(|lane| max[lane] + sum[lane].log2()));
            }
        }
        let max = tile::row_max(s, &sums, &[tile::MASKED; PANEL]);
        let all = tile::sum_exp(s, &sums, &max);
        let lse: [f64; PANEL] = std::array::from_fn(|i| f64::from(max[i]) + f64::from(all[i]).log2());

        for (row, scores) in self.scores.chunks_mut(blocks).enumerate() {
            let lanes = row * per_row..lanes.min((row + 1) * per_row);
            for (score, block) in scores.iter_mut().zip(&sums) {
                *score = log2_sum(lanes.clone().map(|lane| f64::from(block[lane]) - lse[lane])) as f32;
            }
        }
        Ok(())
    }
}
