//! What the blocks of keys weigh to a head's last queries, and what the first of them hold.

use crate::Oracle;
use crate::heads::{dot, log_sum_exp};
use proxyattn_codegen::{Order, Weigh};
use rayon::prelude::*;

impl Oracle {
    /// ‖v‖₂ of each key's value of a KV head, among those of all sequences.
    pub fn value_norms(&self, kv_head: usize) -> Vec<f64> {
        (0..self.kv_len).map(|key| self.v.row(kv_head, key)).map(|v| dot(v, v).sqrt()).collect()
    }

    /// For each block, the log of the sum over the keys of it that a query sees: −∞ where it sees none.
    pub fn block_sums(&self, batch: usize, head: usize, token: usize) -> Vec<f64> {
        self.sums_of(self.logits([batch, head], token, 0..self.keys_seen(token)))
    }

    /// The same with each key's part times the norm of its value.
    pub fn weighed_sums(&self, batch: usize, head: usize, token: usize) -> Vec<f64> {
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

    /// The mass of each block, as a share of the sum over all blocks: what the probabilities of a head's last queries on its
    /// keys add up to, each weighed as the budget says. All 0 if every weight is.
    pub fn masses(&self, batch: usize, head: usize) -> &[f64] {
        let all = || {
            let heads = (0..self.batch * self.heads).into_par_iter();
            heads.map(|i| self.measure(i / self.heads, i % self.heads)).collect()
        };
        &self.masses.get_or_init(all)[batch * self.heads + head]
    }

    fn measure(&self, batch: usize, head: usize) -> Vec<f64> {
        let norms = match self.measure_of_budget().map(|measure| measure.weigh) {
            Some(Weigh::Values) => Some(self.value_norms(self.kv_head(batch, head))),
            Some(Weigh::None) | None => None,
        };
        let mut masses = vec![0.0; self.blocks()];
        for token in self.last_queries() {
            let all = log_sum_exp(&self.block_sums(batch, head, token));
            let sums = match &norms {
                Some(norms) => self.sums_weighed_by(norms, [batch, head], token),
                None => self.block_sums(batch, head, token),
            };
            masses.iter_mut().zip(sums).for_each(|(mass, sum)| *mass += (sum - all).exp());
        }
        let sum: f64 = masses.iter().sum();
        if sum > 0.0 {
            masses.iter_mut().for_each(|mass| *mass /= sum);
        }
        masses
    }

    /// The blocks of a group's last row in the order in which `select` fills its list.
    pub fn last_ranking(&self, batch: usize, group: usize) -> Vec<usize> {
        let last = self.rows() - 1;
        self.ranking(last, self.row_scores(batch, group, last))
    }

    /// The blocks in the order in which the budget counts them for a head.
    pub fn order(&self, batch: usize, head: usize) -> Vec<usize> {
        match self.measure_of_budget().map(|measure| measure.order) {
            Some(Order::List) => self.last_ranking(batch, head / (self.heads / self.groups)),
            Some(Order::Own) | None => {
                let masses = self.masses(batch, head);
                let mut order: Vec<usize> = (0..masses.len()).collect();
                order.sort_by(|&a, &b| masses[b].total_cmp(&masses[a]));
                order
            }
        }
    }

    /// The share of a head's mass that the first 1, 2, … blocks of an order of all of them hold. A head without mass lacks
    /// nothing after one block.
    pub fn held(&self, batch: usize, head: usize, order: &[usize]) -> Vec<f64> {
        let masses = self.masses(batch, head);
        let mut sum = 0.0;
        let cumulated = order.iter().map(|&block| {
            sum += masses[block];
            sum
        });
        let cumulated: Vec<f64> = cumulated.collect();
        cumulated.iter().map(|part| if sum > 0.0 { part / sum } else { 1.0 }).collect()
    }
}
