//! `dynamic`: as many blocks as hold γ of the softmax mass of a head's last queries.

use crate::Oracle;
use crate::heads::log_sum_exp;
use proxyattn_codegen::{Block, Rows};
use rayon::prelude::*;

/// The fewest blocks whose share of the mass reaches `gamma`, of the shares that the best 1, 2, … hold.
pub fn fewest(shares: &[f64], gamma: f64) -> usize {
    shares.iter().position(|&share| share >= gamma).map_or(shares.len(), |i| i + 1)
}

/// What the last row's count is for another row.
pub(crate) fn carried(rows: Rows, measured: usize, visible: usize, last_visible: usize) -> usize {
    match rows {
        Rows::Ratio => (measured * visible).div_ceil(last_visible),
        Rows::Absolute => measured,
    }
}

/// The least blocks of any row.
pub(crate) fn floor(min_tokens: u32, block: Block) -> usize {
    min_tokens.div_ceil(block.kv) as usize
}

impl Oracle {
    /// For each block, the log of the sum over the keys of it that a query sees: −∞ where it sees none.
    pub fn block_sums(&self, batch: usize, head: usize, token: usize) -> Vec<f64> {
        let logits = self.logits([batch, head], token, 0..self.keys_seen(token));
        let mut sums: Vec<f64> = logits.chunks(self.spec.block.kv as usize).map(log_sum_exp).collect();
        sums.resize(self.blocks(), f64::NEG_INFINITY);
        sums
    }

    /// Softmax mass of a head's last queries: the share that its best 1, 2, … blocks hold.
    pub fn shares(&self, batch: usize, head: usize) -> &[f64] {
        let all = || {
            let heads = (0..self.batch * self.heads).into_par_iter();
            heads.map(|i| self.measure(i / self.heads, i % self.heads)).collect()
        };
        &self.shares.get_or_init(all)[batch * self.heads + head]
    }

    fn measure(&self, batch: usize, head: usize) -> Vec<f64> {
        let mut mass = vec![0.0; self.blocks()];
        for token in self.last_queries() {
            let sums = self.block_sums(batch, head, token);
            let all = log_sum_exp(&sums);
            mass.iter_mut().zip(sums).for_each(|(mass, sum)| *mass += (sum - all).exp());
        }
        mass.sort_by(|a, b| b.total_cmp(a));
        let mut sum = 0.0;
        let cumulated = mass.iter().map(|m| {
            sum += m;
            sum
        });
        let cumulated: Vec<f64> = cumulated.collect();
        cumulated.iter().map(|c| c / sum).collect()
    }
}
