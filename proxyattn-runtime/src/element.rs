//! The storage types that kernels read and write.

use half::{bf16, f16};
use proxyattn_codegen::Dtype;

mod sealed {
    pub trait Sealed {}
    impl Sealed for half::bf16 {}
    impl Sealed for half::f16 {}
}

/// A 16-bit element type: [`bf16`] or [`f16`]. Arithmetic is in f32 on every backend.
pub trait Element: sealed::Sealed + Copy + Default + PartialEq + core::fmt::Debug + Send + Sync + 'static {
    /// The name of the type in a [`Spec`](proxyattn_codegen::Spec).
    const DTYPE: Dtype;

    /// Exact.
    fn to_f32(self) -> f32;

    /// Rounded to nearest, ties to even.
    fn from_f32(value: f32) -> Self;

    /// The bits.
    fn to_bits(self) -> u16;

    /// The element of these bits.
    fn from_bits(bits: u16) -> Self;

    /// The bits of positive infinity: magnitudes from there on are not finite.
    const INFINITY_BITS: u16;
}

impl Element for bf16 {
    const DTYPE: Dtype = Dtype::Bf16;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(bf16::to_bits(self)) << 16)
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        // Branch-free, so that it vectorises.
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let quiet_nan = (bits >> 16) | 0x40;
        bf16::from_bits(if value.is_nan() { quiet_nan } else { rounded } as u16)
    }

    #[inline(always)]
    fn to_bits(self) -> u16 {
        bf16::to_bits(self)
    }

    #[inline(always)]
    fn from_bits(bits: u16) -> Self {
        bf16::from_bits(bits)
    }

    const INFINITY_BITS: u16 = 0x7f80;
}

impl Element for f16 {
    const DTYPE: Dtype = Dtype::F16;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }

    #[inline(always)]
    fn to_bits(self) -> u16 {
        f16::to_bits(self)
    }

    #[inline(always)]
    fn from_bits(bits: u16) -> Self {
        f16::from_bits(bits)
    }

    const INFINITY_BITS: u16 = 0x7c00;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_agrees_with_half_on_every_upper_half() {
        for upper in 0..=u16::MAX {
            for lower in [0u32, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let value = f32::from_bits(u32::from(upper) << 16 | lower);
                let (ours, theirs) = (<bf16 as Element>::from_f32(value), bf16::from_f32(value));
                assert_eq!(Element::to_bits(ours), Element::to_bits(theirs), "{value:e}");
            }
        }
    }
}
