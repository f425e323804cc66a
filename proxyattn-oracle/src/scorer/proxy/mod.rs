//! `proxy`: a group's mean query against its mean keys, at the strides' tokens.

mod rounded;
mod stages;

use super::Contract;
use crate::heads::{dot, log_sum_exp};
use crate::stages::{Buffers, Sampled};
use crate::{Heads, Oracle, Scores};
use proxyattn_codegen::{Pools, Precision, Proxy, Scorer, Sums};
use rayon::prelude::*;

/// What is multiplied for every group: means of its heads at the strides' tokens.
#[derive(Clone, Debug)]
struct Proxies {
    /// Of its query heads, at every `stride.q`-th token.
    pub(super) q: Samples,
    /// Of its KV heads, at every `stride.kv`-th token.
    pub(super) k: Samples,
    /// What was taken from every sample of the keys, `[batch · groups, 1, dim]`, where products are in e4m3.
    pub(super) centre: Option<Heads>,
}

/// Samples of every group.
#[derive(Clone, Debug)]
struct Samples {
    /// `[batch · groups, samples, dim]`, each to be multiplied by 2 to the power of its exponent.
    pub(super) numbers: Heads,
    /// `[batch · groups, samples / run]`, rounded up.
    pub(super) exponents: Vec<i32>,
    /// How many samples in a row share an exponent.
    pub(super) run: usize,
}

impl Samples {
    /// Numbers that stand for themselves.
    pub(super) fn plain(numbers: Heads) -> Self {
        let run = numbers.tokens().max(1);
        let exponents = vec![0; numbers.numbers().len() / (run * numbers.dim())];
        Self { numbers, exponents, run }
    }

    /// The exponent of a sample of a group, among those of all sequences.
    pub(super) fn exponent(&self, group: usize, sample: usize) -> i32 {
        self.exponents[group * self.numbers.tokens().div_ceil(self.run) + sample / self.run]
    }
}

impl Contract for Proxy {
    fn examples() -> Vec<Scorer> {
        let of = |sums, scores, pool| Scorer::Proxy(Proxy { sums, scores, pool });
        vec![
            of(Sums::Maxima, Precision::E4m3, Pools::Max),
            of(Sums::Exact, Precision::Native, Pools::Max),
            of(Sums::Exact, Precision::Native, Pools::Sum),
            of(Sums::Maxima, Precision::E4m3, Pools::Sum),
        ]
    }

    fn scores(&self, oracle: &Oracle) -> Vec<Scores> {
        let proxies = oracle.proxies(self);
        let all = (0..oracle.batch * oracle.groups * oracle.rows()).into_par_iter();
        let of_row = |i| oracle.scores_by_proxy(&proxies, self, i / oracle.rows(), i % oracle.rows());
        all.map(of_row).collect()
    }

    fn sampled<'a>(&self, oracle: &'a Oracle, left: &Buffers<'_>) -> Box<Sampled<'a>> {
        let (proxies, proxy) = (stages::proxies(self, left, oracle), *self);
        Box::new(move |group, token| oracle.proxy_blocks(&proxies, &proxy, group, token))
    }
}

impl Oracle {
    /// The proxies.
    fn proxies(&self, proxy: &Proxy) -> Proxies {
        match proxy.scores {
            Precision::Native => Proxies {
                q: Samples::plain(self.q.means(self.runs(self.heads), self.spec.stride.q as usize)),
                k: Samples::plain(self.k.means(self.runs(self.kv_heads), self.spec.stride.kv as usize)),
                centre: None,
            },
            Precision::E4m3 => self.rounded_proxies(None),
        }
    }

    /// Logits of a sampled token's proxy with every sampled key that the token sees; `group` is one of all sequences'.
    fn proxy_logits(&self, proxies: &Proxies, group: usize, token: usize) -> Vec<f64> {
        let (stride_q, stride_kv) = (self.spec.stride.q as usize, self.spec.stride.kv as usize);
        assert!(token.is_multiple_of(stride_q), "token {token} is not sampled");
        let Proxies { q, k, .. } = proxies;
        let (query, exponent) = (q.numbers.row(group, token / stride_q), q.exponent(group, token / stride_q));
        let samples = self.keys_seen(token).div_ceil(stride_kv);
        let logit = |sample: usize| {
            let factor = self.scale * 2f64.powi(exponent + k.exponent(group, sample));
            factor * dot(query, k.numbers.row(group, sample))
        };
        (0..samples).map(logit).collect()
    }

    /// For the sampled keys that a token sees, the log of the sum that they are normalised by, and the largest logit in each
    /// block, or the log of their sum.
    fn proxy_blocks(&self, proxies: &Proxies, proxy: &Proxy, group: usize, token: usize) -> (f64, Vec<f64>) {
        let logits = self.proxy_logits(proxies, group, token);
        let mut of_blocks = vec![Vec::new(); self.block_of(self.keys_seen(token) - 1) + 1];
        for (sample, &logit) in logits.iter().enumerate() {
            of_blocks[self.block_of(sample * self.spec.stride.kv as usize)].push(logit);
        }
        let largest = |logits: &Vec<f64>| logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let maxima: Vec<f64> = of_blocks.iter().map(largest).collect();
        match (proxy.pool, proxy.sums) {
            (Pools::Max, Sums::Exact) => (log_sum_exp(&logits), maxima),
            (Pools::Max, Sums::Maxima) => (log_sum_exp(&maxima), maxima),
            (Pools::Sum, _) => {
                (log_sum_exp(&logits), of_blocks.iter().map(|logits| log_sum_exp(logits)).collect())
            }
        }
    }

    /// The largest probability in each tile of a row, or the sum of all, over the sampled queries and keys; its logarithm.
    fn scores_by_proxy(&self, proxies: &Proxies, proxy: &Proxy, group: usize, row: usize) -> Scores {
        let mut of_samples = vec![Vec::new(); self.visible(row)];
        for token in self.row_tokens(row).filter(|t| t % self.spec.stride.q as usize == 0) {
            let (log_sum, of_blocks) = self.proxy_blocks(proxies, proxy, group, token);
            for (scores, of_block) in of_samples.iter_mut().zip(of_blocks) {
                scores.push(of_block - log_sum);
            }
        }
        let pooled = |scores: &Vec<f64>| match proxy.pool {
            Pools::Max => scores.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Pools::Sum => log_sum_exp(scores),
        };
        of_samples.iter().map(pooled).collect()
    }
}
