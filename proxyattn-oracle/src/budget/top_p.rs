//! `top_p`: as many blocks of a row as hold a share of its weight (`XAttention`, `find_blocks_chunked`).

use super::held::{Held, MASS};
use super::mass::{fewest, held};
use super::{Contract, Given};
use crate::stages::Buffers;
use crate::{Grid, Oracle, Scores};
use proxyattn_codegen::{Budget, TopP};

/// What each block weighs beside the heaviest: a score is the logarithm of a weight.
fn weights(scores: &Scores) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter().map(|score| (score - top).exp()).collect()
}

impl Contract for TopP {
    fn examples() -> Vec<Budget> {
        vec![Budget::TopP(TopP { share: 0.9 }), Budget::TopP(TopP { share: 0.6 })]
    }

    fn wanted(&self, _: &Grid, _: usize, measured: usize) -> usize {
        measured
    }

    fn measured(&self, oracle: &Oracle, batch: usize) -> Vec<Vec<usize>> {
        let of_row = |group, row| {
            let scores = oracle.row_scores(batch, group, row);
            fewest(&held(&weights(scores), &oracle.ranking(row, scores)), self.share)
        };
        let of_group = |group| (0..oracle.rows()).map(|row| of_row(group, row)).collect::<Vec<_>>();
        let size = oracle.heads / oracle.groups;
        (0..oracle.groups).flat_map(|group| vec![of_group(group); size]).collect()
    }

    /// Weights are as far from the reference's as scores may be, and blocks that tie may change places.
    fn close(&self, given: &Given<'_>) -> Vec<Result<(), String>> {
        let oracle = given.oracle;
        let slack = MASS + (2.0 * given.ties.nats()).exp_m1();
        let of_head = |head| {
            let group = head / (oracle.heads / oracle.groups);
            for row in 0..oracle.rows() {
                let scores = oracle.row_scores(given.batch, group, row);
                let ranking = oracle.ranking(row, scores);
                let held = Held::ranked(oracle, row, &ranking, (scores, given.ties), &weights(scores));
                // What is pinned is visited even where fewer blocks hold the share.
                let count = given.count(head, row);
                let explains = if count == oracle.pinned(row) { 1..=count } else { count..=count };
                if count > ranking.len()
                    || !explains.clone().any(|count| held.reaches_within(count, self.share, slack))
                {
                    return Err(format!("{explains:?} blocks of row {row} do not reach the share"));
                }
            }
            Ok(())
        };
        (0..oracle.heads).map(of_head).collect()
    }

    /// Counts lie between those of slightly smaller and slightly larger shares of the weights that scores have.
    fn near(&self, left: &Buffers<'_>, oracle: &Oracle) {
        let measured = left.measured();
        for (batch, head) in left.all_heads() {
            let group = batch * oracle.groups + head / (oracle.heads / oracle.groups);
            for row in 0..oracle.rows() {
                let scores = left.log_scores(oracle, group, row);
                let held = held(&weights(&scores), &oracle.ranking(row, &scores));
                let [low, high] = [-1e-4, 1e-4].map(|slack| fewest(&held, self.share + slack));
                let got = measured(batch, head, row).max(oracle.pinned(row));
                let range = low.max(oracle.pinned(row))..=high.max(oracle.pinned(row));
                assert!(range.contains(&got), "head {batch}/{head}, row {row}: {got} blocks, not {range:?}");
            }
        }
    }
}
