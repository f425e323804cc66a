//! Block scores: `maxpool(softmax(Q_g·K_gᵀ))`, in one pass over the keys.
//!
//! The softmax of a row is monotone in its logits, so the largest probability of a (row, block) is that of its
//! largest logit: a pass keeps the largest logit of each (row, block), and normalises afterwards, by the sum over the
//! keys or over these maxima (`sums.rs`). Nothing is computed twice, and nothing underflows, because scores stay logarithms:
//! `score = max over rows (largest logit − log₂ sum)`. Rankings need no more.

use super::pool::Proxies;
use super::sums::Normaliser;
use crate::cpu::scorer::{Prepared, Scores, log2_sum};
use crate::cpu::simd::{CHUNK, Kernel, PANEL, Row, Simd, dispatch};
use crate::cpu::tile::{self, MASKED};
use crate::memory::{filled, product};
use crate::{Observer, Plan, Result, Stage};
use proxyattn_codegen::Pools;
use rayon::prelude::*;

/// Panels that share a pass over the keys, so that a tile of keys is read from cache.
const PANELS_PER_UNIT: usize = 2;

impl Prepared for Proxies<'_> {
    fn score(&self, plan: &Plan, observer: &dyn Observer) -> Result<Scores> {
        score(plan, self, observer)
    }
}

fn score(plan: &Plan, proxies: &Proxies<'_>, observer: &dyn Observer) -> Result<Scores> {
    let geometry = plan.geometry();
    let (rows, blocks) = (geometry.rows(), geometry.blocks());
    let samples_per_row = plan.spec().block_samples().q as usize;
    let panels = PANELS_PER_UNIT.max(samples_per_row / PANEL);
    let rows_per_unit = panels * PANEL / samples_per_row;
    let sequences = plan.problem().batch * plan.groups();

    let mut data = filled("scores", product(&[sequences, rows, blocks]), f32::NEG_INFINITY)?;
    observer.begin(Stage::Score, sequences * rows.div_ceil(rows_per_unit));
    data.par_chunks_mut(rows * blocks).enumerate().try_for_each(|(sequence, data)| {
        // The last rows see the most keys: begin with them.
        let units = data.par_chunks_mut(rows_per_unit * blocks).enumerate().rev().with_max_len(1);
        units.try_for_each(|(unit, scores)| {
            let first_row = unit * rows_per_unit;
            dispatch(Unit { plan, proxies, sequence, first_row, panels, samples_per_row, scores })?;
            observer.advance(Stage::Score, 1);
            Ok(())
        })
    })?;
    Ok(Scores { data, rows, blocks })
}

/// Whole rows, sampled into `panels` panels, against every key that they see.
struct Unit<'a> {
    plan: &'a Plan,
    proxies: &'a Proxies<'a>,
    sequence: usize,
    first_row: usize,
    panels: usize,
    samples_per_row: usize,
    /// `[row][block]`.
    scores: &'a mut [f32],
}

/// One panel of a unit.
struct PanelState {
    normaliser: Normaliser,
    /// How many key samples each lane sees.
    limits: [u32; PANEL],
    /// The largest logit of each (block, lane), for the blocks that some lane sees.
    maxima: Vec<Row>,
}

impl Unit<'_> {
    /// How many key samples the query sample sees. Lanes past the last query see key 0 alone.
    fn limit(&self, sample: usize) -> u32 {
        if sample >= self.proxies.query_samples {
            return 1;
        }
        self.plan.geometry().seen_samples(self.plan.spec().sample_window(), sample) as u32
    }
}

impl Kernel for Unit<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Result<()> {
        let samples_per_block = self.plan.spec().block_samples().kv as usize;
        let tile_len = samples_per_block.max(CHUNK);
        let first_panel = self.first_row * self.samples_per_row / PANEL;
        let panels = self.panels.min(self.proxies.query_samples.div_ceil(PANEL) - first_panel);

        let mut seen = 0;
        let mut states: Vec<_> = (first_panel..first_panel + panels)
            .map(|panel| {
                let limits = std::array::from_fn(|lane| self.limit(panel * PANEL + lane));
                let longest = limits.iter().fold(0, |max, &limit| limit.max(max)) as usize;
                seen = seen.max(longest);
                let maxima = filled("scores", longest.div_ceil(samples_per_block), [MASKED; PANEL])?;
                Ok(PanelState { normaliser: Normaliser::new(self.proxies.sums), limits, maxima })
            })
            .collect::<Result<_>>()?;

        let mut buffer = vec![[0.0; PANEL]; tile_len];
        for first in (0..seen).step_by(tile_len) {
            let keys = self.proxies.keys().range(self.sequence, first, tile_len);
            for (panel, state) in states.iter_mut().enumerate() {
                let buffer = &mut buffer[..tile::reach(first, tile_len, &state.limits)];
                if buffer.is_empty() {
                    continue;
                }
                tile::scores(s, keys, self.proxies.queries(self.sequence, first_panel + panel), buffer);
                let shortest = state.limits.iter().fold(u32::MAX, |min, &limit| limit.min(min)) as usize;
                if shortest < first + buffer.len() {
                    tile::mask(buffer, first, &state.limits);
                }
                let end = (first + buffer.len()).div_ceil(samples_per_block).min(state.maxima.len());
                let maxima = &mut state.maxima[first / samples_per_block..end];
                for (block, out) in buffer.chunks(samples_per_block).zip(&mut *maxima) {
                    *out = match self.proxies.pool {
                        Pools::Max => tile::row_max(s, block, out),
                        Pools::Sum => log_sum(s, block),
                    };
                }
                state.normaliser.add(s, buffer, maxima);
            }
        }
        self.pool(s, &states, first_panel);
        Ok(())
    }
}

/// The base-2 logarithm of what a block's keys sum to, of each lane.
#[inline(always)]
fn log_sum<S: Simd>(s: S, block: &[Row]) -> Row {
    let max = tile::row_max(s, block, &[MASKED; PANEL]);
    let sum = tile::sum_exp(s, block, &max);
    core::array::from_fn(|lane| max[lane] + sum[lane].log2())
}

impl Unit<'_> {
    /// Normalises what each sample has of the blocks, and pools it over the samples of a row.
    #[inline(always)]
    fn pool<S: Simd>(self, s: S, states: &[PanelState], first_panel: usize) {
        let blocks = self.plan.geometry().blocks();
        for (panel, state) in states.iter().enumerate() {
            let lse = state.normaliser.log_sums(s, &state.maxima);
            let first_sample = (first_panel + panel) * PANEL;
            let lanes = PANEL.min(self.proxies.query_samples - first_sample);
            let lanes_per_row = self.samples_per_row.min(PANEL);
            let first_row = first_sample / self.samples_per_row - self.first_row;
            for (block, maxima) in state.maxima.iter().enumerate() {
                let mut scores = [0.0; PANEL];
                for (lane, score) in scores.iter_mut().enumerate() {
                    *score = (f64::from(maxima[lane]) - lse[lane]) as f32;
                }
                for (row, scores) in scores[..lanes].chunks(lanes_per_row).enumerate() {
                    let best = &mut self.scores[(first_row + row) * blocks + block];
                    *best = match self.proxies.pool {
                        Pools::Max => {
                            scores.iter().fold(*best, |max, &score| if score > max { score } else { max })
                        }
                        Pools::Sum => {
                            let logs = core::iter::once(&*best).chain(scores);
                            log2_sum(logs.map(|&score| f64::from(score))) as f32
                        }
                    };
                }
            }
        }
    }
}
