//! Softmax attention over the blocks of a list.

use crate::heads::log_sum_exp;
use crate::{Lists, Oracle};
use rayon::prelude::*;

/// Every visible block, for every head.
struct All<'a> {
    oracle: &'a Oracle,
    blocks: Vec<u32>,
}

impl Lists for All<'_> {
    fn count(&self, _: usize, _: usize, row: usize) -> usize {
        self.oracle.visible(row)
    }

    fn blocks(&self, _: usize, _: usize, row: usize) -> &[u32] {
        &self.blocks[..self.oracle.visible(row)]
    }
}

impl Oracle {
    /// The output `[batch, heads, q_len, dim]` when heads visit the blocks of `lists`.
    pub fn attend(&self, lists: &dyn Lists) -> Vec<f64> {
        let rows = self.rows();
        let tiles = (0..self.batch * self.heads * rows).into_par_iter();
        tiles
            .flat_map_iter(|tile| {
                let (head, row) = (tile / rows, tile % rows);
                let (batch, head) = (head / self.heads, head % self.heads);
                let list = lists.blocks(batch, head, row);
                self.row_tokens(row).flat_map(move |t| self.attend_token([batch, head], t, list))
            })
            .collect()
    }

    /// The output of dense attention.
    pub fn attend_all(&self) -> Vec<f64> {
        self.attend(&All { oracle: self, blocks: (0..self.blocks() as u32).collect() })
    }

    fn attend_token(&self, [batch, head]: [usize; 2], token: usize, blocks: &[u32]) -> Vec<f64> {
        let (seen, block) = (self.keys_seen(token), self.spec.block.kv as usize);
        let runs =
            || blocks.iter().map(|&b| (b as usize * block).min(seen)..((b as usize + 1) * block).min(seen));
        let mut logits = Vec::with_capacity(blocks.len() * block);
        runs().for_each(|keys| logits.extend(self.logits([batch, head], token, keys)));
        let log_sum = log_sum_exp(&logits);
        let mut output = vec![0.0; self.v.dim()];
        for (key, logit) in runs().flatten().zip(&logits) {
            let weight = (logit - log_sum).exp();
            for (o, v) in output.iter_mut().zip(self.v.row(self.kv_head(batch, head), key)) {
                *o += weight * v;
            }
        }
        output
    }
}
