//! `fitted`: as many blocks as hold a share of the curve that the masses of a few of a list's blocks follow (Tactic).

mod curve;
mod stages;

use super::mass::{carried, fewest, floor};
use super::{Contract, Given};
use crate::stages::Buffers;
use crate::{Grid, Oracle, Scores};
use curve::{held, places};
use proxyattn_codegen::{Budget, Fitted, Rows};

/// How far a share of the mass may be from the reference's: the slope of a curve is a difference of means.
const SLACK: f64 = 1e-4;
/// Orders that are tried where near ties let a list have many.
const ORDERS: u64 = 64;

/// For each of a head's last queries and each block, the log of what the block's keys weigh.
fn log_weights(oracle: &Oracle, batch: usize, head: usize) -> Vec<Vec<f64>> {
    oracle.last_queries().map(|token| oracle.block_sums(batch, head, token)).collect()
}

/// What the first 1, 2, … blocks of an order hold of the curve.
fn held_in(grid: &Grid, log_weights: &[Vec<f64>], order: &[usize]) -> Vec<f64> {
    let measured: Vec<usize> = places(grid).map(|place| order[place]).collect();
    let of_query = |of_blocks: &Vec<f64>| {
        let top = measured.iter().map(|&block| of_blocks[block]).fold(f64::NEG_INFINITY, f64::max);
        measured.iter().map(|&block| (of_blocks[block] - top).exp()).collect()
    };
    held(grid, &log_weights.iter().map(of_query).collect::<Vec<_>>())
}

/// Scores that differ from a row's as far as two that tie may: the `draw`-th of many, at random.
fn near_scores(scores: &Scores, given: &Given<'_>, draw: u64) -> Scores {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut state = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let near = |&score: &f64| {
        let by = random();
        match best - score > given.ties.depth() {
            // So far down any order will do.
            true => best - given.ties.depth() - by,
            false => score + (2.0 * by - 1.0) * (given.ties.nats() + 1e-6 * score.abs().max(1.0)),
        }
    };
    scores.iter().map(near).collect()
}

impl Contract for Fitted {
    fn examples() -> Vec<Budget> {
        let of = |share, min_tokens| Budget::Fitted(Fitted { share, min_tokens });
        vec![of(0.7, 64), of(0.5, 64)]
    }

    fn wanted(&self, grid: &Grid, row: usize, measured: usize) -> usize {
        carried(grid, Rows::Ratio, row, measured).max(floor(self.min_tokens, grid.spec.block))
    }

    fn measured(&self, oracle: &Oracle, batch: usize) -> Vec<Vec<usize>> {
        let of_head = |head| {
            let order = oracle.last_ranking(batch, head / (oracle.heads / oracle.groups));
            let held = held_in(oracle, &log_weights(oracle, batch, head), &order);
            vec![fewest(&held, self.share); oracle.rows()]
        };
        (0..oracle.heads).map(of_head).collect()
    }

    /// Blocks that tie may change places, and so may be measured or not: the count lies among those of many such orders.
    fn close(&self, given: &Given<'_>) -> Vec<Result<(), String>> {
        let (oracle, last) = (given.oracle, given.oracle.rows() - 1);
        let of_head = |head| {
            let weights = log_weights(oracle, given.batch, head);
            let scores = oracle.row_scores(given.batch, head / (oracle.heads / oracle.groups), last);
            let counts = (0..=ORDERS).flat_map(|draw| {
                let order = match draw {
                    0 => oracle.ranking(last, scores),
                    _ => oracle.ranking(last, &near_scores(scores, given, draw)),
                };
                let held = held_in(oracle, &weights, &order);
                [-SLACK, SLACK].map(|slack| fewest(&held, self.share + slack))
            });
            let (least, most) =
                counts.fold((usize::MAX, 0), |(least, most), count| (least.min(count), most.max(count)));
            match given.explained_by(head).any(|count| (least..=most).contains(&count)) {
                true => Ok(()),
                false => Err(format!("no count of the last row from {least} to {most} explains it")),
            }
        };
        (0..oracle.heads).map(of_head).collect()
    }

    fn near(&self, left: &Buffers<'_>, oracle: &Oracle) {
        stages::near(self, left, oracle);
    }

    fn exact(&self, left: &Buffers<'_>) {
        stages::exact_counts(self, left);
    }
}
