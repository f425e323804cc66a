//! What the inputs must be before anything is computed: finite, and small enough for f32.

use crate::{Element, Error, Plan, Result, View, attention::Inputs, tensor::Data};
use rayon::prelude::*;

/// The largest score, in powers of two, that the backend works with: far from the range of f32, and far from
/// the score of a masked pair.
pub(super) const MAX_SCORE: f64 = 1e28;

/// Refuses NaN and infinity in any element, and magnitudes whose scores or weighted sums could leave f32.
pub(super) fn check<T: Element>(plan: &Plan, inputs: &Inputs<'_, T>) -> Result<()> {
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
    Ok(())
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
    let [batch, heads, tokens, _] = view.shape();
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
