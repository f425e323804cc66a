//! Binary floats that are narrower than f64, from the definitions of their formats.

use proxyattn_codegen::Dtype;

/// A binary float with subnormals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// Bits of mantissa that are stored.
    mantissa: i32,
    /// The exponent of the least normal number.
    least: i32,
    /// The largest finite number.
    pub(crate) largest: f64,
}

impl Format {
    /// Four bits of exponent, three of mantissa, no infinities (OCP 8-bit floating point).
    pub(crate) const E4M3: Self = Self { mantissa: 3, least: -6, largest: 448.0 };

    pub(crate) fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Bf16 => Self { mantissa: 7, least: -126, largest: (2.0 - 2f64.powi(-7)) * 2f64.powi(127) },
            Dtype::F16 => Self { mantissa: 10, least: -14, largest: 65_504.0 },
        }
    }

    /// The nearest number of the format, of two as near ones the one whose last bit is 0. The given one is finite and not
    /// beyond the largest by half a step.
    pub(crate) fn round(self, x: f64) -> f64 {
        // Numbers of one exponent are multiples of a step, and so are those below the least normal one.
        let exponent = if x == 0.0 { self.least } else { exponent(x).max(self.least) };
        let step = 2f64.powi(exponent - self.mantissa);
        (x / step).round_ties_even() * step
    }

    /// The number that 16 bits of the format are: sign, exponent, mantissa.
    pub(crate) fn number(self, bits: u16) -> f64 {
        let (steps, field) = (1 << self.mantissa, i32::from(bits & 0x7fff) >> self.mantissa);
        let mantissa = f64::from(i32::from(bits) & (steps - 1)) / f64::from(steps);
        let magnitude = match field {
            0 => mantissa * 2f64.powi(self.least),
            _ if field == 0x7fff >> self.mantissa => f64::NAN, // no buffer holds an infinity
            _ => (1.0 + mantissa) * 2f64.powi(field - 1 + self.least),
        };
        if bits >> 15 == 1 { -magnitude } else { magnitude }
    }
}

/// The integer e with 2^e ≤ |x| < 2^(e + 1), of a normal f64.
fn exponent(x: f64) -> i32 {
    ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

/// The number that eight bits of e4m3 are: sign, four bits of exponent, three of mantissa.
pub(crate) fn e4m3(bits: u8) -> f64 {
    let (sign, exponent, mantissa) = (bits >> 7, i32::from(bits >> 3 & 15), f64::from(bits & 7));
    let magnitude = match exponent {
        0 => mantissa / 8.0 * 2f64.powi(-6),
        _ if bits & 0x7f == 0x7f => f64::NAN,
        _ => (1.0 + mantissa / 8.0) * 2f64.powi(exponent - 7),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

/// The least integer e ≥ −118 with `largest` ≤ 448·2^e, so that numbers up to it fit e4m3 after a division by 2^e.
pub(crate) fn block_exponent(largest: f64) -> i32 {
    (-118..)
        .find(|&e| largest <= Format::E4M3.largest * 2f64.powi(e))
        .expect("finite numbers have an exponent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e4m3_rounds_to_the_nearest_of_its_numbers() {
        let all: Vec<f64> = (0..0x7f).map(e4m3).collect();
        assert!(e4m3(0x7f).is_nan() && e4m3(0xb8) == -1.0);
        assert_eq!((all[1], all[8], all[0x7e]), (2f64.powi(-9), 2f64.powi(-6), 448.0));
        for (i, pair) in all.windows(2).enumerate() {
            let (low, high, half) = (pair[0], pair[1], (pair[0] + pair[1]) / 2.0);
            let even = if i % 2 == 0 { low } else { high };
            for (x, want) in
                [(low, low), (half, even), (half * (1.0 - 1e-9), low), (half * (1.0 + 1e-9), high)]
            {
                assert_eq!((Format::E4M3.round(x), Format::E4M3.round(-x)), (want, -want), "{x}");
            }
        }
    }

    #[test]
    fn element_types_round_as_they_are_stored() {
        let mut x = 1e-9;
        while x < 6e4 {
            let given = f64::from(x as f32);
            assert_eq!(Format::of(Dtype::Bf16).round(given), half::bf16::from_f32(x as f32).to_f64(), "{x}");
            assert_eq!(Format::of(Dtype::F16).round(given), half::f16::from_f32(x as f32).to_f64(), "{x}");
            x *= 1.000_37;
        }
    }

    #[test]
    fn bits_are_numbers() {
        for bits in 0..=u16::MAX {
            for (dtype, want) in [
                (Dtype::Bf16, half::bf16::from_bits(bits).to_f64()),
                (Dtype::F16, half::f16::from_bits(bits).to_f64()),
            ] {
                let got = Format::of(dtype).number(bits);
                assert!(
                    got == want || !want.is_finite() && got.is_nan(),
                    "{dtype:?} {bits:x}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn an_exponent_is_the_least_that_fits() {
        assert_eq!([448.0, 448.1, 224.0, 224.1, 0.0, 1e-40].map(block_exponent), [0, 1, -1, 0, -118, -118]);
        assert_eq!(block_exponent(f64::from(f32::MAX)), 120);
    }
}
