//! What `score` leaves, for any scorer.

use super::Buffers;
use crate::{Oracle, Scores};
use core::f64::consts::LN_2;
use proxyattn_codegen::Pools;
use proxyattn_codegen::cuda::{CODES_PER_LOG2, Scratch};

/// What a scorer's kernels should leave of a sampled query of a group, among those of all sequences: the log of what its
/// scores are normalised by, and the score of each block that it sees before that, −∞ of a block of which it sees no key.
pub(crate) type Sampled<'a> = dyn Fn(usize, usize) -> (f64, Vec<f64>) + 'a;

/// What `score` has left of each sample.
pub(super) struct Samples {
    maxima: Vec<u16>,
    floors: Vec<f32>,
    lse: Vec<f32>,
}

impl Buffers<'_> {
    /// How many floors and sums a sample has, and the keys that each is for.
    fn segments(&self) -> (usize, usize) {
        let (spec, shape) = (self.spec(), &self.shape);
        let samples = shape.batch * shape.groups(spec) * shape.rows(spec) * self.per_row() as u64;
        match self.floats(Scratch::Lse).len() as u64 == samples {
            true => (1, usize::MAX),
            false => (shape.segments(spec) as usize, shape.segment_keys(spec) as usize),
        }
    }

    /// Sampled queries of a row.
    fn per_row(&self) -> usize {
        self.spec().block_samples().q as usize
    }

    /// Sampled keys of a block.
    pub(crate) fn per_block(&self) -> usize {
        self.spec().block_samples().kv as usize
    }

    /// Where the sums and floors of a sample are: `[row][segment][sample of the row]`.
    fn part(&self, row: usize, segment: usize, i: usize) -> usize {
        (row * self.segments().0 + segment) * self.per_row() + i
    }

    /// Asserts that sums, floors and codes are those of `sampled`, for every sample.
    pub(crate) fn score(&self, sampled: &Sampled<'_>) {
        let (spec, shape, grid) = (self.spec(), &self.shape, self.grid);
        let (window, blocks) = (spec.sample_window(), grid.blocks());
        let Samples { maxima, floors, lse } = self.samples();
        let (_, segment_keys) = self.segments();
        for sequence in 0..grid.batch * grid.groups {
            for sample in 0..shape.q_samples(spec) as usize {
                let token = sample * window.q as usize;
                let (log_sum, best) = sampled(sequence, token);
                let (row, i) = (sequence * grid.rows() + sample / self.per_row(), sample % self.per_row());
                // One sum for each segment that the sample sees.
                let seen = grid.keys_seen(token).div_ceil(window.kv as usize);
                let parts = (0..seen.div_ceil(segment_keys))
                    .map(|segment| f64::from(lse[self.part(row, segment, i)]));
                let (got, want) = (parts.map(f64::exp2).sum::<f64>().log2(), log_sum / LN_2);
                assert!(
                    (got - want).abs() < 2e-4 * (1.0 + want.abs()),
                    "lse {sequence}/{sample}: {got}, not {want}"
                );
                for (block, max) in best.iter().enumerate() {
                    let want = max / LN_2;
                    if want.is_infinite() {
                        continue; // What no sample sees is pinned or invisible: any code goes.
                    }
                    let floor = f64::from(floors[self.part(row, block * self.per_block() / segment_keys, i)]);
                    let code = f64::from(maxima[(row * blocks + block) * self.per_row() + i]);
                    let got = floor + code / f64::from(CODES_PER_LOG2);
                    let half = 0.5 / f64::from(CODES_PER_LOG2) + 1e-4 * (1.0 + want.abs());
                    assert!(
                        (got - want).abs() <= half,
                        "maximum {sequence}/{sample}/{block}: {got}, not {want}"
                    );
                }
            }
        }
    }

    /// What `score` has left.
    pub(super) fn samples(&self) -> Samples {
        Samples {
            maxima: self.halves(Scratch::Maxima),
            floors: self.floats(Scratch::Floors),
            lse: self.floats(Scratch::Lse),
        }
    }

    /// The log₂ scores of the blocks of a row of a group, among those of all sequences, in steps of 2⁻¹², as the kernels rank
    /// them.
    pub(super) fn scores(&self, samples: &Samples, sequence: usize, row: usize) -> Vec<f64> {
        let (grid, blocks, window) = (self.grid, self.grid.blocks(), self.spec().sample_window());
        let Samples { maxima, floors, lse } = samples;
        let (segments, segment_keys) = self.segments();
        let at = sequence * grid.rows() + row;
        // As the kernel adds it up, but for the last bits of its exponentials.
        let lse_of = |i: usize| {
            if segments == 1 {
                return lse[self.part(at, 0, i)];
            }
            let last = (grid.row_tokens(row).end - 1) / window.q as usize * window.q as usize;
            let seen = grid.keys_seen(last).div_ceil(window.kv as usize);
            let parts: Vec<f32> =
                (0..seen.div_ceil(segment_keys)).map(|segment| lse[self.part(at, segment, i)]).collect();
            let top = parts.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            top + parts.iter().map(|part| (part - top).exp2()).sum::<f32>().log2()
        };
        let count = grid.row_tokens(row).len().div_ceil(window.q as usize);
        let sums: Vec<f32> = (0..count).map(lse_of).collect();
        let score = |block: usize| {
            let codes = &maxima[(at * blocks + block) * self.per_row()..][..count];
            let scores = codes.iter().zip(&sums).enumerate().map(|(i, (&code, sum))| {
                let floor = floors[self.part(at, block * self.per_block() / segment_keys, i)];
                let level = ((floor - sum) * 4096.0).round_ties_even() as i32;
                i32::from(code) * 64 + level
            });
            let scores: Vec<i32> = scores.collect();
            let top = scores.iter().copied().max().expect("a row has samples");
            let score = match self.spec().pools() {
                Pools::Max => top,
                Pools::Sum => {
                    let weights = scores.iter().map(|&score| ((score as f32 - top as f32) / 4096.0).exp2());
                    top + (weights.sum::<f32>().log2() * 4096.0).round_ties_even() as i32
                }
            };
            f64::from(score as f32) / 4096.0
        };
        (0..grid.visible(row)).map(score).collect()
    }

    /// The log-scores of the blocks of a row, as the kernels rank them; −∞ of those that the reference gives no score.
    pub(crate) fn log_scores(&self, oracle: &Oracle, sequence: usize, row: usize) -> Scores {
        let reference = &oracle.scores()[sequence * self.grid.rows() + row];
        let found = self.scores(&self.samples(), sequence, row).into_iter().zip(reference);
        found.map(|(score, &known)| if known == f64::NEG_INFINITY { known } else { score * LN_2 }).collect()
    }

    /// The blocks of a row of a group, among those of all sequences, in the order in which they fill its list.
    pub(crate) fn ranking(&self, sequence: usize, row: usize) -> Vec<usize> {
        self.grid.ranking(row, &self.scores(&self.samples(), sequence, row))
    }

    /// Asserts that the buffers of the scorer are near the reference's, stage by stage.
    pub fn scorer(&self, oracle: &Oracle) {
        self.score(&*oracle.sampled(self));
    }
}
