//! What the inputs must be before anything is computed: finite, and small enough for f32.

use crate::{Element, Error, Plan, Result, View, inputs::Inputs, tensor::Data};
use core::f64::consts::LOG2_E;
use rayon::prelude::*;

/// The largest score, in powers of two, that the backend works with: far from the range of f32, and far from
/// the score of a masked pair.
pub(super) const MAX_SCORE: f64 = 1e28;

/// The factor on scores, which are base-2 logarithms, as it is folded into what is multiplied: once, before it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// Into the queries: all of it, as a rule.
    pub(super) queries: f32,
    /// Into the keys: a power of two.
    pub(super) keys: f32,
}

impl Scale {
    /// A query times the whole factor stays below this power of two, and a key times its part below the largest score.
    const QUERIES: i32 = 120;

    /// Of queries and keys up to these magnitudes, whose scores stay below [`MAX_SCORE`]. The factor alone may lead out of
    /// f32 what the key leads back: then a part of it goes into the keys.
    fn of(factor: f64, max_q: f32, max_k: f32) -> Self {
        if max_q == 0.0 || max_k == 0.0 {
            return Self { queries: 0.0, keys: 1.0 }; // every score is 0
        }
        let exponent = (factor * f64::from(max_q)).log2().ceil() as i32;
        let keys = f64::from((exponent - Self::QUERIES).max(0)).exp2();
        Self { queries: (factor / keys) as f32, keys: keys as f32 }
    }
}

/// Refuses NaN and infinity in any element, and magnitudes whose scores or weighted sums could leave f32. Says how scores
/// are scaled.
pub(super) fn check<T: Element>(plan: &Plan, inputs: &Inputs<'_, T>) -> Result<Scale> {
    for (arg, view) in [("q", &inputs.q), ("k", &inputs.k), ("v", &inputs.v)] {
        if !matches!(view.data(), Data::Host(_)) {
            return Err(not_here(arg));
        }
    }
    let max_q = max_magnitude("q", &inputs.q)?;
    let max_k = max_magnitude("k", &inputs.k)?;
    let max_v = max_magnitude("v", &inputs.v)?;
    let spec = plan.spec();
    let bound = f64::from(spec.head_dim) * spec.softmax_scale() * f64::from(max_q) * f64::from(max_k);
    if bound > MAX_SCORE {
        return Err(Error::ScoreRange { limit: MAX_SCORE, bound, max_q, max_k });
    }
    // An unnormalised output is a sum of at most kv_len values, each with a weight of at most 1.
    let limit = f32::MAX / plan.problem().kv_len as f32;
    if max_v > limit {
        return Err(Error::ValueRange { limit, max_v });
    }
    Ok(Scale::of(spec.softmax_scale() * LOG2_E, max_q, max_k))
}

/// A tensor that is on a GPU.
pub(super) fn not_here(arg: &'static str) -> Error {
    let (expected, got) =
        ("a tensor in host memory", "one on a GPU; bring it to the host with Tensor::to(&device)");
    Error::Layout { arg, expected: expected.into(), got: got.into() }
}

/// The largest magnitude in a tensor.
fn max_magnitude<T: Element>(arg: &'static str, view: &View<'_, T>) -> Result<f32> {
    const TOKENS_PER_UNIT: usize = 256;
    // Along an axis without a stride all elements are the same ones.
    let looked_at = |axis: usize| if view.strides()[axis] == 0 { 1 } else { view.shape()[axis] };
    let [batch, heads, tokens] = [0, 1, 2].map(looked_at);
    let units = tokens.div_ceil(TOKENS_PER_UNIT);
    let largest = (0..batch * heads * units)
        .into_par_iter()
        .map(|i| {
            let (b, h) = (i / units / heads, i / units % heads);
            let first = i % units * TOKENS_PER_UNIT;
            let tokens = first..tokens.min(first + TOKENS_PER_UNIT);
            tokens.map(|t| magnitude_bits(view.row(b, h, t))).max().unwrap_or(0)
        })
        .max()
        .unwrap_or(0);
    if largest < T::INFINITY_BITS {
        return Ok(T::from_bits(largest).to_f32());
    }
    // Somewhere there is one: find the first, in logical order.
    for b in 0..batch {
        for h in 0..heads {
            for t in 0..tokens {
                if let Some(d) = view.row(b, h, t).iter().position(|x| !x.to_f32().is_finite()) {
                    return Err(Error::NotFinite {
                        arg,
                        value: view.row(b, h, t)[d].to_f32(),
                        at: [b, h, t, d],
                    });
                }
            }
        }
    }
    unreachable!("a magnitude at or above infinity belongs to an element that is not finite")
}

/// The largest magnitude of a row, as bits. Bits of magnitudes are ordered as the magnitudes are, with
/// infinity and NaN above every number; without the sign they are `i16`, whose maximum every target has.
fn magnitude_bits<T: Element>(row: &[T]) -> u16 {
    row.iter().fold(0i16, |max, x| max.max((x.to_bits() & 0x7fff) as i16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_factor_leads_out_of_f32() {
        // The whole range of bf16 and of factors: products and scores stay finite, and nothing is lost.
        let powers = |range: core::ops::RangeInclusive<i32>| range.step_by(7).map(|e| f64::from(e).exp2());
        let mut moved = 0;
        for factor in powers(-99..=127) {
            for max_q in powers(-133..=127) {
                for max_k in powers(-133..=127).filter(|max_k| 256.0 * factor * max_q * max_k <= MAX_SCORE) {
                    let scale = Scale::of(factor, max_q as f32, max_k as f32);
                    let (q, k) = (max_q as f32 * scale.queries, max_k as f32 * scale.keys);
                    assert!(q.is_finite() && k.is_finite(), "{factor:e} {max_q:e} {max_k:e}: {scale:?}");
                    let (score, exact) = (f64::from(q) * f64::from(k), factor * max_q * max_k);
                    assert!((score - exact).abs() <= 1e-4, "{score:e}, not {exact:e}: {scale:?}");
                    moved += usize::from(scale.keys > 1.0);
                }
            }
        }
        assert!(moved > 100, "{moved}");
        assert_eq!(Scale::of(0.125, 1e30, 1e-5), Scale { queries: 0.125, keys: 1.0 });
        assert_eq!(Scale::of(2e38, 3e38, 0.0).queries, 0.0);
    }
}
