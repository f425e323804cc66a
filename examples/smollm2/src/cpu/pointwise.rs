//! What is done to one token at a time.

use half::bf16;
use proxyattn::Element;

/// `out = x / rms(x) · weight`.
pub(super) fn rms_norm(x: &[f32], weight: &[f32], eps: f64, out: &mut [f32]) {
    let square: f32 = sum(x.iter().map(|x| x * x));
    let factor = 1.0 / (square / x.len() as f32 + eps as f32).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * factor * weight;
    }
}

/// A sum in sixteen lanes: vectors, and less rounding.
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0; 16];
    values.enumerate().for_each(|(i, value)| lanes[i % 16] += value);
    lanes.iter().sum()
}

/// `gate = silu(gate) · up`.
pub(super) fn silu_times(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp(-*gate)) * up;
    }
}

/// `e^x` to a few units in the last place, without branches so that loops over it vectorise: 2 to the whole part of
/// `x log₂e` by its exponent bits, and to the rest by a polynomial.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 6] =
        [1.535_336e-4, 1.339_887_4e-3, 9.618_437e-3, 5.550_332_5e-2, 2.402_264_8e-1, 6.931_472e-1];
    // Far outside, the result is 0 or infinite for all that silu can tell.
    let t = (x * core::f32::consts::LOG2_E).clamp(-126.0, 126.0);
    // Adding and taking away 1.5 · 2²³ rounds to a whole number.
    let rounder = 12_582_912.0f32;
    let whole = (t + rounder) - rounder;
    let rest = t - whole;
    let polynomial = COEFFICIENTS.into_iter().fold(0.0, |sum, c| (sum + c) * rest) + 1.0;
    f32::from_bits(((whole as i32 + 127) as u32) << 23) * polynomial
}

/// Cosines and sines of rotary positions, `[positions, head_dim / 2]` each.
pub(super) struct Rotations {
    half: usize,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl Rotations {
    pub(super) fn new(positions: usize, head_dim: usize, theta: f64) -> Self {
        let half = head_dim / 2;
        let angle = |i: usize| {
            let (position, pair) = (i / half, i % half);
            position as f64 * theta.powf(-(2.0 * pair as f64) / head_dim as f64)
        };
        Self {
            half,
            cosines: (0..positions * half).map(|i| angle(i).cos() as f32).collect(),
            sines: (0..positions * half).map(|i| angle(i).sin() as f32).collect(),
        }
    }

    /// Turns the heads of one token `[heads, head_dim]`, and rounds.
    pub(super) fn turn(&self, position: usize, x: &[f32], out: &mut [bf16]) {
        let cosines = &self.cosines[position * self.half..][..self.half];
        let sines = &self.sines[position * self.half..][..self.half];
        for (x, out) in x.chunks_exact(2 * self.half).zip(out.chunks_exact_mut(2 * self.half)) {
            let (left, right) = x.split_at(self.half);
            let (out_left, out_right) = out.split_at_mut(self.half);
            for i in 0..self.half {
                out_left[i] = Element::from_f32(left[i] * cosines[i] - right[i] * sines[i]);
                out_right[i] = Element::from_f32(right[i] * cosines[i] + left[i] * sines[i]);
            }
        }
    }
}

/// Rounds.
pub(super) fn round(x: &[f32], out: &mut [bf16]) {
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = Element::from_f32(x));
}

/// The index of the largest; of equals, the lowest.
pub(super) fn argmax(x: &[f32]) -> u32 {
    let best = x
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (i, &x)| if x > best.1 { (i, x) } else { best });
    best.0 as u32
}
