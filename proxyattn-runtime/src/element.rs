//! The storage types that kernels read and write.

use cudarc::driver::DeviceRepr;
use half::{bf16, f16};
use proxyattn_codegen::Dtype;

mod sealed {
    use crate::inputs::Inputs;
    use crate::{Observer, Plan, Result, Selection, StageTimes, ViewMut, cpu};

    /// Nobody else's types are elements.
    ///
    /// The CPU backend's entries are methods, and not generic functions, so that the backend is compiled in this crate,
    /// once for each type and instruction set: a generic one would be compiled again by every crate that uses it.
    pub trait Sealed: Sized {
        fn check<'a>(plan: &'a Plan, inputs: &'a Inputs<'a, Self>) -> Result<cpu::Checked<'a, Self>>;

        fn prefill(
            checked: &cpu::Checked<'_, Self>,
            out: &mut ViewMut<'_, Self>,
            observer: &dyn Observer,
        ) -> Result<(Selection, StageTimes)>;

        fn prefill_over(
            checked: &cpu::Checked<'_, Self>,
            selection: &Selection,
            out: &mut ViewMut<'_, Self>,
        ) -> Result<()>;
    }

    macro_rules! sealed {
        ($($elem:ty),+) => {$(
            impl Sealed for $elem {
                fn check<'a>(plan: &'a Plan, inputs: &'a Inputs<'a, Self>) -> Result<cpu::Checked<'a, Self>> {
                    cpu::check_of(plan, inputs)
                }

                fn prefill(
                    checked: &cpu::Checked<'_, Self>,
                    out: &mut ViewMut<'_, Self>,
                    observer: &dyn Observer,
                ) -> Result<(Selection, StageTimes)> {
                    cpu::prefill_of(checked, out, observer)
                }

                fn prefill_over(
                    checked: &cpu::Checked<'_, Self>,
                    selection: &Selection,
                    out: &mut ViewMut<'_, Self>,
                ) -> Result<()> {
                    cpu::prefill_over_of(checked, selection, out)
                }
            }
        )+};
    }

    sealed!(half::bf16, half::f16);
}

/// A 16-bit element type: [`bf16`](half::bf16) or [`f16`](half::f16). Arithmetic is in f32 on every backend.
///
/// ```
/// use proxyattn::{Element, prelude::*};
///
/// fn largest<T: Element>(elements: &[T]) -> f32 {
///     elements.iter().map(|element| element.to_f32().abs()).fold(0.0, f32::max)
/// }
///
/// assert_eq!(largest(&[bf16::ONE, bf16::from_f32(-3.0)]), 3.0);
/// assert_eq!(largest(&[f16::ONE]), 1.0);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an element type of attention tensors",
    label = "expected `bf16` or `f16`",
    note = "f32 numbers have to be rounded: `Tensor::<bf16>::from_f32(&numbers, [batch, heads, tokens, head_dim])`"
)]
pub trait Element:
    sealed::Sealed + DeviceRepr + Copy + Default + PartialEq + core::fmt::Debug + Send + Sync + 'static
{
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

    /// A token of zeros of the widest head.
    #[doc(hidden)]
    const ZEROS: &'static [Self; 256];
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
        bf16::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { quiet_nan } else { rounded } as u16)
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
    const ZEROS: &'static [Self; 256] = &[bf16::ZERO; 256];
}

impl Element for f16 {
    const DTYPE: Dtype = Dtype::F16;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        // The exponent's bias grows by 112; a product does that for subnormals too. Branch-free, as below.
        const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
        let bits = u32::from(f16::to_bits(self));
        let magnitude = (bits & 0x7fff) << 13;
        let finite = (f32::from_bits(magnitude) * REBIAS).to_bits();
        let special = 0x7f80_0000 | (magnitude & 0x007f_ffff);
        f32::from_bits((bits & 0x8000) << 16 | if bits & 0x7c00 == 0x7c00 { special } else { finite })
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        // Branch-free, so that it vectorises.
        let magnitude = value.to_bits() & 0x7fff_ffff;
        let normal = (magnitude.wrapping_add(0xfff + ((magnitude >> 13) & 1)) >> 13).wrapping_sub(112 << 10);
        // One half has the spacing of binary16's subnormals: the addition rounds to them.
        let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
        let rounded = if magnitude < 0x3880_0000 { subnormal } else { normal };
        let finite = if magnitude < 0x477f_f000 { rounded } else { 0x7c00 };
        let bits = if magnitude > 0x7f80_0000 { 0x7e00 | (magnitude >> 13 & 0x3ff) } else { finite };
        f16::from_bits((bits | value.to_bits() >> 16 & 0x8000) as u16)
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
    const ZEROS: &'static [Self; 256] = &[f16::ZERO; 256];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every upper half of an f32, with lower halves around each rounding boundary.
    fn floats() -> impl Iterator<Item = f32> {
        let lower = [0u32, 1, 0x0fff, 0x1000, 0x1001, 0x2000, 0x3000, 0x7fff, 0x8000, 0x8001, 0xffff];
        (0..=u16::MAX)
            .flat_map(move |upper| lower.map(|lower| f32::from_bits(u32::from(upper) << 16 | lower)))
    }

    #[test]
    fn rounding_agrees_with_half() {
        for value in floats() {
            let (ours, theirs) = (<bf16 as Element>::from_f32(value), bf16::from_f32(value));
            assert_eq!(Element::to_bits(ours), Element::to_bits(theirs), "bf16 {value:e}");
            let (ours, theirs) = (<f16 as Element>::from_f32(value), f16::from_f32(value));
            assert!(ours == theirs || ours.is_nan() && theirs.is_nan(), "f16 {value:e}: {ours} {theirs}");
        }
    }

    #[test]
    fn widening_agrees_with_half() {
        for bits in 0..=u16::MAX {
            let (b, h) = (bf16::from_bits(bits), f16::from_bits(bits));
            assert!(Element::to_f32(b) == b.to_f32() || b.is_nan(), "bf16 {bits:04x}");
            assert!(Element::to_f32(h) == h.to_f32() || h.is_nan(), "f16 {bits:04x}");
            assert_eq!((Element::to_f32(b).is_nan(), Element::to_f32(h).is_nan()), (b.is_nan(), h.is_nan()));
        }
    }
}
