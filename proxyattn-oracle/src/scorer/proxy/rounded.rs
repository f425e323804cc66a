//! `scores = e4m3`: samples as eight-bit floats, each query sample and each block of key samples with a power of two.
//!
//! Rounding turns the last bit of a mean into a step of 1/16, so what comes before it is defined to the bit, in f32: a
//! mean is the sum over the heads in their order, each divided by 2^8, times the f32 nearest to 2^8 over their number.

use super::{Proxies, Samples};
use crate::format::{Format, block_exponent};
use crate::{Heads, Oracle};
use core::ops::Range;

impl Oracle {
    /// The proxies in e4m3, with a `centre` `[batch · groups, 1, dim]` that is given or, as a rule, found.
    pub(super) fn rounded_proxies(&self, centre: Option<Heads>) -> Proxies {
        let stride = self.spec.stride;
        let q = means(&self.q, self.runs(self.heads), stride.q as usize);
        let mut k = means(&self.k, self.runs(self.kv_heads), stride.kv as usize);
        let centre = centre.unwrap_or_else(|| self.centre(&k));
        for group in 0..self.batch * self.groups {
            for sample in 0..k.tokens() {
                for (x, c) in k.row_mut(group, sample).iter_mut().zip(centre.row(group, 0)) {
                    *x = f64::from((*x as f32 - *c as f32).clamp(f32::MIN, f32::MAX));
                }
            }
        }
        let per_block = (self.spec.block.kv / stride.kv) as usize;
        Proxies { q: round(q, 1), k: round(k, per_block), centre: Some(centre) }
    }

    /// The mean key at the first token of a block, averaged over 64 blocks that are evenly spaced, or all if there are fewer,
    /// and rounded to the element type.
    fn centre(&self, means: &Heads) -> Heads {
        let (blocks, per_block) = (self.blocks(), (self.spec.block.kv / self.spec.stride.kv) as usize);
        let count = blocks.min(64);
        let looked_at = || (0..count).map(|i| i * blocks / count * per_block);
        let mut data = Vec::new();
        for group in 0..self.batch * self.groups {
            for d in 0..means.dim() {
                let sum: f64 = looked_at().map(|sample| means.row(group, sample)[d]).sum();
                let mean = (sum / count as f64) as f32;
                data.push(Format::of(self.spec.dtype).round(f64::from(mean)));
            }
        }
        Heads::new(data, 1, means.dim())
    }
}

/// The means over runs of heads, at every `stride`-th token, in f32.
fn means(heads: &Heads, runs: impl Iterator<Item = Range<usize>>, stride: usize) -> Heads {
    let mut data = Vec::new();
    for run in runs {
        let share = 256.0 / run.len() as f32;
        for token in (0..heads.tokens()).step_by(stride) {
            for d in 0..heads.dim() {
                let sum =
                    run.clone().fold(0.0, |sum: f32, head| sum + heads.row(head, token)[d] as f32 / 256.0);
                data.push(f64::from(sum * share));
            }
        }
    }
    Heads::new(data, heads.tokens().div_ceil(stride), heads.dim())
}

/// Each `run` of samples under the least exponent that holds the largest of their numbers.
fn round(mut numbers: Heads, run: usize) -> Samples {
    let (tokens, dim) = (numbers.tokens(), numbers.dim());
    let mut exponents = Vec::new();
    for group in numbers.numbers_mut().chunks_mut(tokens * dim) {
        for samples in group.chunks_mut(run * dim) {
            let exponent = block_exponent(samples.iter().fold(0.0, |max: f64, x| max.max(x.abs())));
            samples.iter_mut().for_each(|x| *x = Format::E4M3.round(*x / 2f64.powi(exponent)));
            exponents.push(exponent);
        }
    }
    Samples { numbers, exponents, run }
}
