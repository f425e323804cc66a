//! Tokens of heads as numbers, and what is computed of two rows.

use core::ops::Range;
use proxyattn_runtime::{Element, View};

/// Tokens of heads, `[batch · heads, tokens, dim]`.
#[derive(Clone, Debug)]
pub struct Heads {
    data: Vec<f64>,
    tokens: usize,
    dim: usize,
}

impl Heads {
    /// The numbers of a view.
    pub fn of<T: Element>(view: &View<'_, T>) -> Self {
        let [batch, heads, tokens, dim] = view.shape();
        let mut data = Vec::with_capacity(batch * heads * tokens * dim);
        for b in 0..batch {
            for h in 0..heads {
                for t in 0..tokens {
                    data.extend(view.row(b, h, t).iter().map(|x| f64::from(x.to_f32())));
                }
            }
        }
        Self { data, tokens, dim }
    }

    /// Numbers in the order of heads, tokens and dims.
    pub fn new(data: Vec<f64>, tokens: usize, dim: usize) -> Self {
        Self { data, tokens, dim }
    }

    /// A token of a head, among those of all sequences.
    pub fn row(&self, head: usize, token: usize) -> &[f64] {
        let start = (head * self.tokens + token) * self.dim;
        &self.data[start..start + self.dim]
    }

    /// The same, to be changed.
    pub(crate) fn row_mut(&mut self, head: usize, token: usize) -> &mut [f64] {
        let start = (head * self.tokens + token) * self.dim;
        &mut self.data[start..start + self.dim]
    }

    /// Every number, in the order of heads, tokens and dims.
    pub fn numbers(&self) -> &[f64] {
        &self.data
    }

    /// The same, to be changed.
    pub(crate) fn numbers_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// Tokens of a head.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Elements of a row.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// The means over runs of heads, at every `stride`-th token.
    pub(crate) fn means(&self, runs: impl Iterator<Item = Range<usize>>, stride: usize) -> Self {
        let tokens = self.tokens.div_ceil(stride);
        let mut data = Vec::new();
        for heads in runs {
            let start = data.len();
            data.resize(start + tokens * self.dim, 0.0);
            for head in heads.clone() {
                for (sample, mean) in data[start..].chunks_exact_mut(self.dim).enumerate() {
                    for (m, x) in mean.iter_mut().zip(self.row(head, sample * stride)) {
                        *m += x / heads.len() as f64;
                    }
                }
            }
        }
        Self { data, tokens, dim: self.dim }
    }
}

/// Eight running sums, so that the loop vectorises without reassociating anything.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

/// `log Σ exp`; −∞ of nothing.
pub(crate) fn log_sum_exp(logits: &[f64]) -> f64 {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max.is_infinite() {
        return max;
    }
    max + logits.iter().map(|logit| (logit - max).exp()).sum::<f64>().ln()
}
