//! `proxy`: a group's mean query against its mean keys, at the strides' tokens.

use crate::heads::{dot, log_sum_exp};
use crate::{Heads, Oracle, Scores};
use rayon::prelude::*;

/// The means of every group, `[batch · groups, samples, dim]`.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Of its query heads, at every `stride.q`-th token.
    pub q: Heads,
    /// Of its KV heads, at every `stride.kv`-th token.
    pub k: Heads,
}

impl Oracle {
    /// The proxies.
    pub fn proxies(&self) -> Proxies {
        let runs = |heads: usize| {
            let size = heads / self.groups;
            (0..self.batch * self.groups).map(move |sequence| sequence * size..(sequence + 1) * size)
        };
        Proxies {
            q: self.q.means(runs(self.heads), self.spec.stride.q as usize),
            k: self.k.means(runs(self.kv_heads), self.spec.stride.kv as usize),
        }
    }

    /// Logits of a sampled token's proxy with every sampled key that the token sees; `group` is one of all sequences'.
    pub fn proxy_logits(&self, proxies: &Proxies, group: usize, token: usize) -> Vec<f64> {
        let (stride_q, stride_kv) = (self.spec.stride.q as usize, self.spec.stride.kv as usize);
        assert!(token.is_multiple_of(stride_q), "token {token} is not sampled");
        let query = proxies.q.row(group, token / stride_q);
        let samples = self.keys_seen(token).div_ceil(stride_kv);
        (0..samples).map(|sample| self.scale * dot(query, proxies.k.row(group, sample))).collect()
    }

    /// For the sampled keys that a token sees, the log of their sum, and the largest logit in each block.
    pub fn proxy_maxima(&self, proxies: &Proxies, group: usize, token: usize) -> (f64, Vec<f64>) {
        let logits = self.proxy_logits(proxies, group, token);
        let mut maxima = vec![f64::NEG_INFINITY; self.block_of(self.keys_seen(token) - 1) + 1];
        for (sample, &logit) in logits.iter().enumerate() {
            let max = &mut maxima[self.block_of(sample * self.spec.stride.kv as usize)];
            *max = max.max(logit);
        }
        (log_sum_exp(&logits), maxima)
    }

    pub(crate) fn scores_by_proxies(&self, proxies: &Proxies) -> Vec<Scores> {
        let all = (0..self.batch * self.groups * self.rows()).into_par_iter();
        all.map(|i| self.scores_by_proxy(proxies, i / self.rows(), i % self.rows())).collect()
    }

    /// The largest probability in each tile of a row, over the sampled queries and keys; its logarithm.
    fn scores_by_proxy(&self, proxies: &Proxies, group: usize, row: usize) -> Scores {
        let mut scores = vec![f64::NEG_INFINITY; self.visible(row)];
        for token in self.row_tokens(row).filter(|t| t % self.spec.stride.q as usize == 0) {
            let (log_sum, maxima) = self.proxy_maxima(proxies, group, token);
            for (score, max) in scores.iter_mut().zip(maxima) {
                *score = score.max(max - log_sum);
            }
        }
        scores
    }
}
