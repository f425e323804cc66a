//! `mean_pool`: a group's mean query over the tokens of a row of blocks, against its mean key over those of a block.

use super::Contract;
use crate::heads::{dot, log_sum_exp};
use crate::stages::{Buffers, Sampled};
use crate::{Grid, Heads, Oracle, Scores};
use proxyattn_codegen::cuda::Scratch;
use proxyattn_codegen::{MeanPool, Scorer};

impl Oracle {
    /// The mean queries of rows and the mean keys of blocks, `[batch · groups, rows or blocks, dim]`.
    fn means(&self) -> [Heads; 2] {
        let block = self.spec.block;
        let of = |heads: &Heads, count, block: u32| {
            let (dim, block) = (heads.dim(), block as usize);
            let of_groups = heads.means(self.runs(count), 1);
            let of_blocks = of_groups.numbers().chunks(of_groups.tokens() * dim).flat_map(|group| {
                group.chunks(block * dim).flat_map(|tokens| {
                    let mean =
                        |d| tokens.iter().skip(d).step_by(dim).sum::<f64>() / (tokens.len() / dim) as f64;
                    (0..dim).map(mean)
                })
            });
            Heads::new(of_blocks.collect(), heads.tokens().div_ceil(block), dim)
        };
        [of(&self.q, self.heads, block.q), of(&self.k, self.kv_heads, block.kv)]
    }

    /// The scores of the blocks that a row of a group, among those of all sequences, sees, before they are normalised.
    fn mean_logits(&self, [q, k]: &[Heads; 2], group: usize, row: usize) -> Vec<f64> {
        let logit = |block| self.scale * dot(q.row(group, row), k.row(group, block));
        (0..self.visible(row)).map(logit).collect()
    }
}

impl Contract for MeanPool {
    fn examples() -> Vec<Scorer> {
        vec![Scorer::MeanPool]
    }

    fn scores(&self, oracle: &Oracle) -> Vec<Scores> {
        let means = oracle.means();
        let of_row = |i| {
            let logits = oracle.mean_logits(&means, i / oracle.rows(), i % oracle.rows());
            let sum = log_sum_exp(&logits);
            logits.into_iter().map(|logit| logit - sum).collect()
        };
        (0..oracle.batch * oracle.groups * oracle.rows()).map(of_row).collect()
    }

    fn scored(&self, grid: &Grid, row: usize) -> usize {
        grid.visible(row)
    }

    fn sampled<'a>(&self, oracle: &'a Oracle, left: &Buffers<'_>) -> Box<Sampled<'a>> {
        let [(q, queries), (k, keys)] =
            [(Scratch::MeanQ, &oracle.q), (Scratch::MeanK, &oracle.k)].map(|(scratch, tokens)| {
                let largest = tokens.numbers().iter().fold(0.0, |max: f64, x| max.max(x.abs()));
                (left.numbers(scratch), largest)
            });
        let [want_q, want_k] = oracle.means();
        for (name, got, want, largest) in [("queries", &q, &want_q, queries), ("keys", &k, &want_k, keys)] {
            assert_eq!(got.len(), want.numbers().len(), "mean {name}");
            for (got, want) in got.iter().zip(want.numbers()) {
                assert!((got - want).abs() <= 1e-6 * largest, "mean {name}: {got}, not {want}");
            }
        }
        let dim = oracle.q.dim();
        let means = [Heads::new(q, oracle.rows(), dim), Heads::new(k, oracle.blocks(), dim)];
        Box::new(move |group, token| {
            let logits = oracle.mean_logits(&means, group, token / oracle.spec.block.q as usize);
            (log_sum_exp(&logits), logits)
        })
    }
}
