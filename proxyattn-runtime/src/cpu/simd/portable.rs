//! The baseline of the target, left to the compiler's vectoriser: SSE2 on x86-64, NEON on AArch64.

use super::{Block, CHUNK, Col, Kernel, Row, Simd, outer_tiled};

const LANES: usize = 4;
type V = [f32; LANES];

/// Needs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable;

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    core::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type V = V;
    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, row: &Row, i: usize) -> V {
        core::array::from_fn(|j| row[i * LANES + j])
    }

    #[inline(always)]
    fn store(self, row: &mut Row, i: usize, v: V) {
        row[i * LANES..][..LANES].copy_from_slice(&v);
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |x, y| x + y)
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |x, y| x - y)
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |x, y| x * y)
    }

    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        // Without the instruction, `mul_add` would be a library call for each lane.
        let fused = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
        core::array::from_fn(|i| if fused { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] })
    }

    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |x, y| if x > y { x } else { y })
    }

    #[inline(always)]
    fn round(self, a: V) -> V {
        // Adding and taking away 1.5·2²³ rounds to an integer; what is larger already is one.
        const SHIFT: f32 = 12_582_912.0;
        core::array::from_fn(|i| if a[i].abs() < 4_194_304.0 { (a[i] + SHIFT) - SHIFT } else { a[i] })
    }

    #[inline(always)]
    fn ldexp(self, a: V, n: V) -> V {
        core::array::from_fn(|i| {
            let exponent = if n[i] > -127.0 { n[i] as i32 } else { -127 };
            a[i] * f32::from_bits(((exponent + 127) as u32) << 23)
        })
    }

    #[inline(always)]
    fn any_gt(self, a: V, b: V) -> bool {
        (0..LANES).fold(false, |any, i| any | (a[i] > b[i]))
    }

    #[inline(always)]
    fn outer(self, a: &[Col], b: &[Row], c: &mut [Row; CHUNK], accumulate: bool) {
        outer_tiled::<_, 4, 2>(self, a, b, c, accumulate);
    }

    #[inline(always)]
    fn transpose(self, block: &Block) -> Block {
        core::array::from_fn(|i| core::array::from_fn(|j| block[j][i]))
    }

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}
