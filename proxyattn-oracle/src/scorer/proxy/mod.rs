//! `proxy`: a group's mean query against its mean keys, at the strides' tokens.

mod rounded;
mod stages;

use super::Contract;
use crate::heads::{dot, log_sum_exp};
use crate::stages::{Buffers, Sampled};
use crate::{Heads, Oracle, Scores};
use proxyattn_codegen::{Precision, Proxy, Scorer, Sums};
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
        let of = |sums, scores| Scorer::Proxy(Proxy { sums, scores });
        vec![of(Sums::Maxima, Precision::E4m3), of(Sums::Exact, Precision::Native)]
    }

    fn scores(&self, oracle: &Oracle) -> Vec<Scores> {
        let proxies = oracle.proxies(self);
        let all = (0..oracle.batch * oracle.groups * oracle.rows()).into_par_iter();
        let of_row = |i| oracle.scores_by_proxy(&proxies, self.sums, i / oracle.rows(), i % oracle.rows());
        all.map(of_row).collect()
    }

    fn sampled<'a>(&self, oracle: &'a Oracle, left: &Buffers<'_>) -> Box<Sampled<'a>> {
        let (proxies, sums) = (stages::proxies(self, left, oracle), self.sums);
        Box::new(move |group, token| oracle.proxy_maxima(&proxies, sums, group, token))
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
    /// block.
    fn proxy_maxima(&self, proxies: &Proxies, sums: Sums, group: usize, token: usize) -> (f64, Vec<f64>) {
        let logits = self.proxy_logits(proxies, group, token);
        let mut maxima = vec![f64::NEG_INFINITY; self.block_of(self.keys_seen(token) - 1) + 1];
        for (sample, &logit) in logits.iter().enumerate() {
            let max = &mut maxima[self.block_of(sample * self.spec.stride.kv as usize)];
            *max = max.max(logit);
        }
        let log_sum = match sums {
            Sums::Exact => log_sum_exp(&logits),
            Sums::Maxima => log_sum_exp(&maxima),
        };
        (log_sum, maxima)
    }

    /// The largest probability in each tile of a row, over the sampled queries and keys; its logarithm.
    fn scores_by_proxy(&self, proxies: &Proxies, sums: Sums, group: usize, row: usize) -> Scores {
        let mut scores = vec![f64::NEG_INFINITY; self.visible(row)];
        for token in self.row_tokens(row).filter(|t| t % self.spec.stride.q as usize == 0) {
            let (log_sum, maxima) = self.proxy_maxima(proxies, sums, group, token);
            for (score, max) in scores.iter_mut().zip(maxima) {
                *score = score.max(max - log_sum);
            }
        }
        scores
    }
}
