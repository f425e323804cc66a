//! What the blocks of keys weigh to a head's last queries, and what the first of them hold.

mod stages;

pub(super) use stages::{masses, partials};

use crate::heads::{dot, log_sum_exp};
use crate::{Grid, Oracle};
use proxyattn_codegen::{Block, Order, Rows, Weigh};
use rayon::prelude::*;

/// How a budget looks at masses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) order: Order,
    pub(crate) weigh: Weigh,
}

/// What the last row's count is for another row.
pub(super) fn carried(grid: &Grid, rows: Rows, row: usize, measured: usize) -> usize {
    match rows {
        Rows::Ratio => (measured * grid.visible(row)).div_ceil(grid.visible(grid.rows() - 1)),
        Rows::Absolute => measured,
    }
}

/// The least blocks of any row.
pub(super) fn floor(min_tokens: u32, block: Block) -> usize {
    min_tokens.div_ceil(block.kv) as usize
}

/// The share of the whole mass that the first 1, 2, … blocks of an order of all of them hold. Where there is no mass, nothing
/// is lacking after one block.
pub(super) fn held(masses: &[f64], order: &[usize]) -> Vec<f64> {
    let mut sum = 0.0;
    let cumulated = order.iter().map(|&block| {
        sum += masses[block];
        sum
    });
    let cumulated: Vec<f64> = cumulated.collect();
    cumulated.iter().map(|part| if sum > 0.0 { part / sum } else { 1.0 }).collect()
}

/// The fewest blocks whose share of the mass reaches `gamma`, of the shares that the first 1, 2, … hold.
pub(super) fn fewest(held: &[f64], gamma: f64) -> usize {
    held.iter().position(|&share| share >= gamma).map_or(held.len(), |i| i + 1)
}

impl Oracle {
    /// ‖v‖₂ of each key's value of a KV head, among those of all sequences.
    pub(crate) fn value_norms(&self, kv_head: usize) -> Vec<f64> {
        (0..self.kv_len).map(|key| self.v.row(kv_head, key)).map(|v| dot(v, v).sqrt()).collect()
    }

    /// For each block, the log of the sum over the keys of it that a query sees: −∞ where it sees none.
    pub(crate) fn block_sums(&self, batch: usize, head: usize, token: usize) -> Vec<f64> {
        self.sums_of(self.logits([batch, head], token, 0..self.keys_seen(token)))
    }

    /// The same with each key's part times the norm of its value.
    pub(crate) fn weighed_sums(&self, batch: usize, head: usize, token: usize) -> Vec<f64> {
        self.sums_weighed_by(&self.value_norms(self.kv_head(batch, head)), [batch, head], token)
    }

    fn sums_weighed_by(&self, norms: &[f64], head: [usize; 2], token: usize) -> Vec<f64> {
        let logits = self.logits(head, token, 0..self.keys_seen(token));
        self.sums_of(logits.iter().zip(norms).map(|(logit, norm)| logit + norm.ln()).collect())
    }

    fn sums_of(&self, logits: Vec<f64>) -> Vec<f64> {
        let mut sums: Vec<f64> = logits.chunks(self.spec.block.kv as usize).map(log_sum_exp).collect();
        sums.resize(self.blocks(), f64::NEG_INFINITY);
        sums
    }

    /// The blocks of a group's last row in the order in which `select` fills its list.
    pub(crate) fn last_ranking(&self, batch: usize, group: usize) -> Vec<usize> {
        let last = self.rows() - 1;
        self.ranking(last, self.row_scores(batch, group, last))
    }
}

impl Measure {
    /// The mass of each block, as a share of the sum over all blocks: what the probabilities of a head's last queries on its
    /// keys add up to, each weighed as the budget says. All 0 if every weight is.
    pub(super) fn masses(self, oracle: &Oracle, batch: usize, head: usize) -> &[f64] {
        let all = || {
            let heads = (0..oracle.batch * oracle.heads).into_par_iter();
            heads.map(|i| self.found(oracle, i / oracle.heads, i % oracle.heads)).collect()
        };
        &oracle.masses.get_or_init(all)[batch * oracle.heads + head]
    }

    fn found(self, oracle: &Oracle, batch: usize, head: usize) -> Vec<f64> {
        let norms = match self.weigh {
            Weigh::Values => Some(oracle.value_norms(oracle.kv_head(batch, head))),
            Weigh::None => None,
        };
        let mut masses = vec![0.0; oracle.blocks()];
        for token in oracle.last_queries() {
            let all = log_sum_exp(&oracle.block_sums(batch, head, token));
            let sums = match &norms {
                Some(norms) => oracle.sums_weighed_by(norms, [batch, head], token),
                None => oracle.block_sums(batch, head, token),
            };
            masses.iter_mut().zip(sums).for_each(|(mass, sum)| *mass += (sum - all).exp());
        }
        let sum: f64 = masses.iter().sum();
        if sum > 0.0 {
            masses.iter_mut().for_each(|mass| *mass /= sum);
        }
        masses
    }

    /// The blocks in the order in which the budget counts them for a head.
    pub(super) fn order(self, oracle: &Oracle, batch: usize, head: usize) -> Vec<usize> {
        match self.order {
            Order::List => oracle.last_ranking(batch, head / (oracle.heads / oracle.groups)),
            Order::Own => {
                let masses = self.masses(oracle, batch, head);
                let mut order: Vec<usize> = (0..masses.len()).collect();
                order.sort_by(|&a, &b| masses[b].total_cmp(&masses[a]));
                order
            }
        }
    }

    /// The share of a head's mass that the first 1, 2, … blocks hold in that order.
    pub(super) fn held_in_order(self, oracle: &Oracle, batch: usize, head: usize) -> Vec<f64> {
        held(self.masses(oracle, batch, head), &self.order(oracle, batch, head))
    }
}
