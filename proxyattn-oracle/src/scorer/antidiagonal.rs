//! `antidiagonal`: sums over the antidiagonals of a group's attention in squares of tokens (`XAttention`,
//! `xattn_estimate`).

use super::Contract;
use crate::heads::{dot, log_sum_exp};
use crate::stages::{Buffers, Sampled};
use crate::{Heads, Oracle, Scores};
use proxyattn_codegen::cuda::{Scratch, Tensor};
use proxyattn_codegen::{Antidiagonal, Dtype, Scorer};
use rayon::prelude::*;

/// Mean queries and keys of every group, `[batch · groups · stride, windows, dim]`: those of one place in all windows lie side
/// by side, zeros where a window lacks its token.
struct Parts {
    stride: usize,
    q: Heads,
    k: Heads,
}

impl Parts {
    fn of(oracle: &Oracle, stride: usize) -> Self {
        let sorted = |heads: &Heads, count| {
            let (tokens, dim) = (heads.tokens(), heads.dim());
            let means = heads.means(oracle.runs(count), 1);
            let places =
                (0..oracle.batch * oracle.groups).flat_map(|group| (0..stride).map(move |r| (group, r)));
            let mut data = Vec::new();
            for (group, place) in places {
                for token in (0..tokens.div_ceil(stride)).map(|window| window * stride + place) {
                    match token < tokens {
                        true => data.extend(means.row(group, token)),
                        false => data.resize(data.len() + dim, 0.0),
                    }
                }
            }
            Heads::new(data, tokens.div_ceil(stride), dim)
        };
        Self { stride, q: sorted(&oracle.q, oracle.heads), k: sorted(&oracle.k, oracle.kv_heads) }
    }

    /// What the products along the antidiagonal of a square add up to, of a group among those of all sequences.
    fn product(&self, group: usize, query: usize, key: usize) -> f64 {
        let part = |place: usize| group * self.stride + place;
        let places = 0..self.stride;
        places.map(|r| dot(self.q.row(part(self.stride - 1 - r), query), self.k.row(part(r), key))).sum()
    }

    /// For the window of queries that begins with a token: the log of what all its strided keys sum to, and what those of each
    /// block do.
    fn sums(&self, oracle: &Oracle, group: usize, token: usize) -> (f64, Vec<f64>) {
        assert!(token.is_multiple_of(self.stride), "no window begins with token {token}");
        let factor = oracle.scale / self.stride as f64;
        let windows = oracle.keys_seen(token).div_ceil(self.stride);
        let logits: Vec<f64> =
            (0..windows).map(|window| factor * self.product(group, token / self.stride, window)).collect();
        let per_block = oracle.spec.block.kv as usize / self.stride;
        (log_sum_exp(&logits), logits.chunks(per_block).map(log_sum_exp).collect())
    }

    /// The log-scores of the blocks of a row.
    fn row_scores(&self, oracle: &Oracle, group: usize, row: usize) -> Scores {
        let mut of_blocks = vec![Vec::new(); oracle.visible(row)];
        for token in oracle.row_tokens(row).step_by(self.stride) {
            let (all, sums) = self.sums(oracle, group, token);
            of_blocks.iter_mut().zip(sums).for_each(|(block, sum)| block.push(sum - all));
        }
        of_blocks.iter().map(|block| log_sum_exp(block)).collect()
    }
}

impl Contract for Antidiagonal {
    fn examples() -> Vec<Scorer> {
        [4, 8, 16].map(|stride| Scorer::Antidiagonal(Antidiagonal { stride })).into()
    }

    fn scores(&self, oracle: &Oracle) -> Vec<Scores> {
        let parts = Parts::of(oracle, self.stride as usize);
        let all = (0..oracle.batch * oracle.groups * oracle.rows()).into_par_iter();
        all.map(|i| parts.row_scores(oracle, i / oracle.rows(), i % oracle.rows())).collect()
    }

    fn sampled<'a>(&self, oracle: &'a Oracle, left: &Buffers<'_>) -> Box<Sampled<'a>> {
        let want = Parts::of(oracle, self.stride as usize);
        let k = match left.has(Scratch::StridedK) {
            true => left.heads(Tensor::StridedK),
            false => want.k.clone(), // the inputs' own
        };
        let got = Parts { q: left.heads(Tensor::StridedQ), k, ..want };
        let epsilon = if left.spec().dtype == Dtype::F16 { 1e-3 } else { 8e-3 };
        for (name, got, want) in [("queries", &got.q, &want.q), ("keys", &got.k, &want.k)] {
            assert_eq!(got.numbers().len(), want.numbers().len(), "numbers of {name}");
            for (got, want) in got.numbers().iter().zip(want.numbers()) {
                assert!((got - want).abs() <= epsilon * want.abs() + 1e-6, "{name}: {got}, not {want}");
            }
        }
        Box::new(move |group, token| got.sums(oracle, group, token))
    }
}
