//! AVX-512 and AVX2 with FMA.

use super::{Block, CHUNK, Col, Kernel, PANEL, Row, Simd, outer_tiled};
use core::arch::x86_64::*;

/// Eight rows of eight: pairs, then fours, then halves change places.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(block: &Block) -> Block {
    // SAFETY: a row is eight floats, a vector's worth.
    let r = block.each_ref().map(|row| unsafe { _mm256_loadu_ps(row.as_ptr()) });
    let pairs =
        [0, 2, 4, 6].map(|i| (_mm256_unpacklo_ps(r[i], r[i + 1]), _mm256_unpackhi_ps(r[i], r[i + 1])));
    let fours = [0, 2].map(|i| {
        let ((a, b), (c, d)) = (pairs[i], pairs[i + 1]);
        [
            _mm256_shuffle_ps::<0b01_00_01_00>(a, c),
            _mm256_shuffle_ps::<0b11_10_11_10>(a, c),
            _mm256_shuffle_ps::<0b01_00_01_00>(b, d),
            _mm256_shuffle_ps::<0b11_10_11_10>(b, d),
        ]
    });
    let mut out = Block::default();
    for i in 0..4 {
        let low = _mm256_permute2f128_ps::<0x20>(fours[0][i], fours[1][i]);
        let high = _mm256_permute2f128_ps::<0x31>(fours[0][i], fours[1][i]);
        // SAFETY: as above.
        unsafe {
            _mm256_storeu_ps(out[i].as_mut_ptr(), low);
            _mm256_storeu_ps(out[i + 4].as_mut_ptr(), high);
        }
    }
    out
}

macro_rules! instruction_set {
    (
        $(#[$doc:meta])* $name:ident: $vector:ty, $lanes:literal lanes, features $feature:literal, detect $detect:expr,
        tile $depth:literal x $vecs:literal,
        load $load:ident, store $store:ident, splat $splat:ident,
        add $add:ident, sub $sub:ident, mul $mul:ident, fma $fma:ident, max $max:ident,
        round($r:ident) $round:expr, ldexp($x:ident, $n:ident) $ldexp:expr, any_gt($p:ident, $q:ident) $any_gt:expr,
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct $name(());

        impl $name {
            /// The token, where the processor has the set.
            pub(super) fn detect() -> Option<Self> {
                $detect.then_some(Self(()))
            }
        }

        // Why each `unsafe` below is sound: the token exists only after `detect` has found the target features
        // that the intrinsics need.
        impl Simd for $name {
            type V = $vector;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(self, x: f32) -> Self::V {
                // SAFETY: the features are present, see above.
                unsafe { $splat(x) }
            }

            #[inline(always)]
            fn load(self, row: &Row, i: usize) -> Self::V {
                assert!(i < PANEL / $lanes);
                // SAFETY: the features are present, see above; vector `i` lies inside the row.
                unsafe { $load(row.as_ptr().add(i * $lanes)) }
            }

            #[inline(always)]
            fn store(self, row: &mut Row, i: usize, v: Self::V) {
                assert!(i < PANEL / $lanes);
                // SAFETY: the features are present, see above; vector `i` lies inside the row.
                unsafe { $store(row.as_mut_ptr().add(i * $lanes), v) }
            }

            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the features are present, see above.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the features are present, see above.
                unsafe { $sub(a, b) }
            }

            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the features are present, see above.
                unsafe { $mul(a, b) }
            }

            #[inline(always)]
            fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: the features are present, see above.
                unsafe { $fma(a, b, c) }
            }

            #[inline(always)]
            fn max(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the features are present, see above.
                unsafe { $max(a, b) }
            }

            #[inline(always)]
            fn round(self, $r: Self::V) -> Self::V {
                // SAFETY: the features are present, see above.
                unsafe { $round }
            }

            #[inline(always)]
            fn ldexp(self, $x: Self::V, $n: Self::V) -> Self::V {
                // SAFETY: the features are present, see above.
                unsafe { $ldexp }
            }

            #[inline(always)]
            fn any_gt(self, $p: Self::V, $q: Self::V) -> bool {
                // SAFETY: the features are present, see above.
                unsafe { $any_gt }
            }

            #[inline(always)]
            fn outer(self, a: &[Col], b: &[Row], c: &mut [Row; CHUNK], accumulate: bool) {
                outer_tiled::<_, $depth, $vecs>(self, a, b, c, accumulate);
            }

            #[inline(always)]
            fn transpose(self, block: &Block) -> Block {
                // SAFETY: both sets have AVX2, see above.
                unsafe { transpose(block) }
            }

            #[inline]
            fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
                #[target_feature(enable = $feature)]
                fn compiled<K: Kernel>(s: $name, kernel: K) -> K::Output {
                    kernel.run(s)
                }
                // SAFETY: the features are present, see above.
                unsafe { compiled(self, kernel) }
            }
        }
    };
}

instruction_set! {
    /// AVX-512 F, BW, DQ and VL: every server processor that has AVX-512 at all.
    Avx512: __m512, 16 lanes, features "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c",
    detect is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c"),
    tile 8 x 2, // 16 accumulators of 32 registers hide the latency of two FMA units
    load _mm512_loadu_ps, store _mm512_storeu_ps, splat _mm512_set1_ps,
    add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, fma _mm512_fmadd_ps, max _mm512_max_ps,
    round(r) _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(r),
    ldexp(x, n) _mm512_scalef_ps(x, n),
    any_gt(p, q) _mm512_cmp_ps_mask::<_CMP_GT_OQ>(p, q) != 0,
}

instruction_set! {
    /// AVX2 with FMA: Haswell, Zen and later.
    Avx2: __m256, 8 lanes, features "avx2,fma,f16c",
    detect is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c"),
    tile 4 x 2, // 8 accumulators, 2 vectors and 4 splats fit 16 registers
    load _mm256_loadu_ps, store _mm256_storeu_ps, splat _mm256_set1_ps,
    add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, fma _mm256_fmadd_ps, max _mm256_max_ps,
    round(r) _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(r),
    ldexp(x, n) {
        let clamped = _mm256_cvtps_epi32(_mm256_max_ps(n, _mm256_set1_ps(-127.0)));
        let biased = _mm256_slli_epi32::<23>(_mm256_add_epi32(clamped, _mm256_set1_epi32(127)));
        _mm256_mul_ps(x, _mm256_castsi256_ps(biased))
    },
    any_gt(p, q) _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(p, q)) != 0,
}
