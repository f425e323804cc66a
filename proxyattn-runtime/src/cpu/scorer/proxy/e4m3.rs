//! `scores = e4m3`: what a product of eight-bit floats would see, in f32.
//!
//! The format is the one without infinities (OCP 8-bit floating point): three bits of mantissa, numbers from 2⁻⁹ to 448. A
//! product of two of its numbers is exact in f32. What all keys of a group have in common is taken from them first: softmax
//! does not see it, and where it is large it would cost the rest its digits.

use super::pool::Mean;
use crate::memory::{filled, product};
use crate::{Element, Result};
use proxyattn_codegen::Proxy;
use rayon::prelude::*;

/// The largest number of the format.
const LARGEST: f32 = 448.0;

/// The least power of two that samples are divided by: the products of two stay within f32.
const LEAST_EXPONENT: i32 = -118;

/// The mean key at the first token of a block, averaged over [`Proxy::CENTRE_BLOCKS`] blocks that are evenly spaced and rounded
/// to the element type: `[batch · group][dim]`.
pub(super) struct Centres {
    data: Vec<f32>,
    dim: usize,
}

impl Centres {
    /// Of `at_blocks(sequence)`, which are a group's keys at the blocks' first tokens.
    pub(super) fn of<'a, T: Element>(
        sequences: usize,
        dim: usize,
        at_blocks: impl Fn(usize) -> Mean<'a, T> + Sync,
    ) -> Result<Self> {
        let mut data = filled("proxy keys", product(&[sequences, dim]), 0.0)?;
        data.par_chunks_mut(dim).enumerate().for_each(|(sequence, centre)| {
            let (mean, mut sums) = (at_blocks(sequence), vec![0.0; dim]);
            let count = mean.samples.min(Proxy::CENTRE_BLOCKS as usize);
            for i in 0..count {
                // In `centre` for now.
                let sample = mean.fill(i * mean.samples / count, centre);
                sums.iter_mut().zip(sample).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            let averages = sums.iter().map(|sum: &f64| T::from_f32((sum / count as f64) as f32).to_f32());
            centre.iter_mut().zip(averages).for_each(|(c, average)| *c = average);
        });
        Ok(Self { data, dim })
    }

    /// That of a sequence, `batch · groups + group`.
    pub(super) fn of_sequence(&self, sequence: usize) -> &[f32] {
        &self.data[sequence * self.dim..][..self.dim]
    }
}

/// A sample less the centre, within f32.
#[inline(always)]
pub(super) fn subtract(sample: &mut [f32], centre: &[f32]) {
    for (x, c) in sample.iter_mut().zip(centre) {
        *x = (*x - c).clamp(f32::MIN, f32::MAX);
    }
}

/// Rounds samples, which are the lanes of `columns`, and multiplies them by `factor`. Each `run` of lanes, or all of them,
/// is rounded under the least power of two that makes its numbers those of the format, and multiplied by that again.
#[inline(always)]
pub(super) fn round<const LANES: usize>(columns: &mut [[f32; LANES]], run: usize, factor: f32) {
    let mut largest = [0.0f32; LANES];
    for column in &*columns {
        for (largest, x) in largest.iter_mut().zip(column) {
            *largest = if x.abs() > *largest { x.abs() } else { *largest };
        }
    }
    let (mut down, mut up) = ([0.0; LANES], [0.0; LANES]);
    let lanes = down.chunks_mut(run).zip(up.chunks_mut(run));
    for ((down, up), largest) in lanes.zip(largest.chunks(run)) {
        let exponent = exponent(largest.iter().fold(0.0, |max, &x| max.max(x)));
        down.fill(power(-exponent));
        up.fill((f64::from(factor) * f64::from(power(exponent))) as f32);
    }
    for column in columns {
        for ((x, down), up) in column.iter_mut().zip(&down).zip(&up) {
            // 2¹²⁸, which the largest numbers may be rounded to, is the largest that f32 holds but for its last bit.
            *x = (nearest(*x * down) * up).clamp(f32::MIN, f32::MAX);
        }
    }
}

/// The least integer e ≥ −118 with `largest` ≤ 448·2ᵉ.
fn exponent(largest: f32) -> i32 {
    // 448 = 1.75·2⁸, and subnormal numbers are far below it.
    let (exponent, mantissa) = ((largest.to_bits() >> 23) as i32 - 127, largest.to_bits() & 0x007f_ffff);
    let fits = mantissa <= LARGEST.to_bits() & 0x007f_ffff;
    (exponent - 8 + i32::from(!fits)).max(LEAST_EXPONENT)
}

/// 2ᵉ for −126 ≤ e ≤ 127.
fn power(e: i32) -> f32 {
    f32::from_bits(((e + 127) as u32) << 23)
}

/// The nearest number of the format, of two as near ones the even one; `x` is at most 448.
#[inline(always)]
fn nearest(x: f32) -> f32 {
    // Below 2⁻⁶ the numbers are multiples of 2⁻⁹: f32 holds no finer ones beside 1.5·2¹⁴.
    const FEW: f32 = 1.5 * (1 << 14) as f32;
    let few = (x + FEW) - FEW;
    // Elsewhere 20 of the 23 bits of a mantissa go: half of the last one that stays, or a little less if it is even, carries.
    let bits = x.to_bits();
    let many = f32::from_bits((bits + 0x7_ffff + (bits >> 20 & 1)) & !0xf_ffff);
    if x.abs() < 1.0 / 64.0 { few } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_goes_to_the_nearest() {
        let number = |i: i32| match i >> 3 {
            0 => i as f32 / 512.0,
            exponent => (8 + (i & 7)) as f32 / 8.0 * power(exponent - 7),
        };
        for i in 0..0x7e {
            let (low, high) = (number(i), number(i + 1));
            let half = (low + high) / 2.0;
            let even = if i % 2 == 0 { low } else { high };
            let cases =
                [(low, low), (half, even), (half.next_down(), low), (half.next_up(), high), (high, high)];
            for (x, want) in cases {
                assert_eq!((nearest(x), nearest(-x)), (want, -want), "{x}");
            }
        }
        assert_eq!(number(0x7e), LARGEST);
    }

    #[test]
    fn an_exponent_is_the_least_that_fits() {
        for e in -118..=119 {
            let edge = LARGEST * power(e);
            assert_eq!([edge, edge.next_up()].map(exponent), [e, e + 1], "{edge}");
        }
        assert_eq!([0.0, 1e-40, f32::MIN_POSITIVE].map(exponent), [LEAST_EXPONENT; 3]);
        assert_eq!(exponent(f32::MAX), 120);
    }

    #[test]
    fn samples_keep_their_scale() {
        let mut samples = [3.3e38, -1.0e38, 1.0e36, 0.0].map(|x| [x]);
        round(&mut samples, 1, 1e-38);
        // Of 3.3e38 in 2¹²⁰: 248.3, beside which numbers are 16 apart.
        let unit = (f64::from(power(120)) * f64::from(1e-38f32)) as f32;
        assert_eq!(samples, [256.0, -72.0, 0.75, 0.0].map(|x: f32| [x * unit]));
        // Of −0.4 in 2⁻¹⁰: −409.6, beside which numbers are 32 apart; 0.1 is 102.4, beside which they are 8 apart.
        let mut samples = [0.1, 0.2, 0.3, -0.4].map(|x| [x]);
        round(&mut samples, 1, 1.0);
        assert_eq!(samples, [104.0, 208.0, 320.0, -416.0].map(|x: f32| [x / 1024.0]));
    }

    #[test]
    fn runs_of_lanes_have_a_power_in_common() {
        // In 2⁻⁸, 0.000 11 is 14.4 of the 2⁻⁹ beside it; in 2², beside 1000, it is nothing.
        let mut columns = [[1.0, 0.000_11, 1000.0, 0.000_11], [0.5, 0.5, 0.5, 0.5]];
        round(&mut columns, 2, 1.0);
        assert_eq!(columns[0], [1.0, 14.0 / 512.0 / 256.0, 1024.0, 0.0]);
        let mut columns = [[1.0, 0.000_11, 1000.0, 0.000_11], [0.5, 0.5, 0.5, 0.5]];
        round(&mut columns, 8, 1.0);
        assert_eq!(columns[0], [1.0, 0.0, 1024.0, 0.0]);
    }

    #[test]
    fn a_difference_stays_within_f32() {
        let mut sample = [f32::MAX, -3e38, 1.0];
        subtract(&mut sample, &[-1e38, 3e38, 0.25]);
        assert_eq!(sample, [f32::MAX, f32::MIN, 0.75]);
    }
}
