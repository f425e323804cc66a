//! `nearest`: how near a block is to the row's own one.

use super::Contract;
use crate::heads::log_sum_exp;
use crate::stages::{Buffers, Sampled};
use crate::{Grid, Oracle, Scores};
use core::f64::consts::LN_2;
use proxyattn_codegen::{Nearest, Scorer};

impl Grid {
    /// The block that has the key at which a row's last query stands. More queries than keys have no such keys, and are counted
    /// from the first on.
    fn own_block(&self, row: usize) -> usize {
        let last = self.row_tokens(row).end - 1;
        let key = last + self.kv_len.saturating_sub(self.q_len);
        self.block_of(key.min(self.kv_len - 1))
    }

    /// Logarithms of the weights of a row's blocks, halved every 64 blocks, before they are normalised.
    fn distances(&self, row: usize) -> Vec<f64> {
        let own = self.own_block(row) as f64;
        (0..self.visible(row)).map(|block| (own - block as f64).abs() * -LN_2 / 64.0).collect()
    }
}

impl Contract for Nearest {
    fn examples() -> Vec<Scorer> {
        vec![Scorer::Nearest]
    }

    fn scores(&self, oracle: &Oracle) -> Vec<Scores> {
        let of_row = |row| {
            let logits = oracle.distances(row);
            let sum = log_sum_exp(&logits);
            logits.into_iter().map(|logit| logit - sum).collect()
        };
        (0..oracle.batch * oracle.groups).flat_map(|_| (0..oracle.rows()).map(of_row)).collect()
    }

    fn scored(&self, grid: &Grid, row: usize) -> usize {
        grid.visible(row)
    }

    fn sampled<'a>(&self, oracle: &'a Oracle, _: &Buffers<'_>) -> Box<Sampled<'a>> {
        Box::new(move |_, token| {
            let logits = oracle.distances(token / oracle.spec.block.q as usize);
            (log_sum_exp(&logits), logits)
        })
    }
}
