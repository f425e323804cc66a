//! `relative`: the blocks of a row that weigh a share of what its heaviest weighs (`FlashPrefill`, `deal_output_score`).

use super::{Contract, Given};
use crate::{Grid, Oracle, Scores};
use core::f64::consts::LN_2;
use proxyattn_codegen::{Budget, Relative};

/// Nats by which `ln α` may be another one: it is rounded to steps of a 4096th in log2.
const ROUNDED: f64 = LN_2 / 4096.0;

/// How many blocks of a row are pinned, or score no more than `below` nats less than the best.
fn count(grid: &Grid, row: usize, scores: &Scores, below: f64) -> usize {
    let lowest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max) - below;
    (0..grid.visible(row)).filter(|&block| grid.is_pinned(row, block) || scores[block] >= lowest).count()
}

impl Contract for Relative {
    fn examples() -> Vec<Budget> {
        vec![Budget::Relative(Relative { alpha: 0.5 }), Budget::Relative(Relative { alpha: 0.8 })]
    }

    fn wanted(&self, _: &Grid, _: usize, measured: usize) -> usize {
        measured
    }

    fn measured(&self, oracle: &Oracle, batch: usize) -> Vec<Vec<usize>> {
        let of_row = |group, row| count(oracle, row, oracle.row_scores(batch, group, row), -self.alpha.ln());
        let of_group = |group| (0..oracle.rows()).map(|row| of_row(group, row)).collect::<Vec<_>>();
        let size = oracle.heads / oracle.groups;
        (0..oracle.groups).flat_map(|group| vec![of_group(group); size]).collect()
    }

    /// In the kernels' own scores and steps there is no doubt.
    fn kept(&self, grid: &Grid, row: usize, scores: &Scores) -> Option<usize> {
        let steps = (-self.alpha.log2() * 4096.0).round();
        Some(count(grid, row, scores, steps / 4096.0))
    }

    /// The best score and the one that is compared with it may each be off.
    fn close(&self, given: &Given<'_>) -> Vec<Result<(), String>> {
        let oracle = given.oracle;
        let of_head = |head| {
            let group = head / (oracle.heads / oracle.groups);
            for row in 0..oracle.rows() {
                let scores = oracle.row_scores(given.batch, group, row);
                let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let slack = 2.0 * given.ties.nats() + ROUNDED + 2e-6 * best.abs().max(1.0);
                let [fewest, most] =
                    [-slack, slack].map(|slack| count(oracle, row, scores, slack - self.alpha.ln()));
                let got = given.count(head, row);
                if !(fewest..=most).contains(&got) {
                    return Err(format!("{got} blocks of row {row}, not {fewest} to {most}"));
                }
            }
            Ok(())
        };
        (0..oracle.heads).map(of_head).collect()
    }
}
