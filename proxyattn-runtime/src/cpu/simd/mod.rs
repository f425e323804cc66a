//! The vector instructions that the CPU backend uses, one method each.
//!
//! [`Simd`] is implemented by a token per instruction set. A token exists only where the processor has the
//! instructions, so its methods are safe. Everything above is generic code that is compiled once per set:
//!
//! ```text
//! dispatch(kernel) ─▶ detected set ─▶ S::vectorize, a function with the set's target features
//!                                       └▶ kernel.run(s): #[inline(always)] down to the intrinsics
//! ```

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::jit::env::{Cap, Env};
use std::cell::Cell;
use std::sync::OnceLock;

/// Columns of a panel: query rows that are worked on side by side.
pub(crate) const PANEL: usize = 32;
/// Rows of an outer-product tile: keys in a score, dims in an output.
pub(crate) const CHUNK: usize = 8;

/// One row of a panel.
pub(crate) type Row = [f32; PANEL];
/// One column of a chunk.
pub(crate) type Col = [f32; CHUNK];

/// A square that [`Simd::transpose`] turns.
pub(crate) type Block = [Col; CHUNK];

/// An instruction set.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// A vector of `LANES` floats.
    type V: Copy;
    /// Floats in a vector; divides [`PANEL`].
    const LANES: usize;

    fn splat(self, x: f32) -> Self::V;
    /// The `i`-th vector of a row.
    fn load(self, row: &Row, i: usize) -> Self::V;
    fn store(self, row: &mut Row, i: usize, v: Self::V);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a·b + c`, fused where the set has it.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest integer, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `a·2ⁿ` for integral `n ≤ 127`; zero or subnormal for `n ≤ −127`.
    fn ldexp(self, a: Self::V, n: Self::V) -> Self::V;
    /// Whether any lane of `a` is above that of `b`.
    fn any_gt(self, a: Self::V, b: Self::V) -> bool;

    /// `c[r][j] = Σ a[·][r]·b[·][j]`, or added to what `c` holds: the one matrix product of the backend.
    fn outer(self, a: &[Col], b: &[Row], c: &mut [Row; CHUNK], accumulate: bool);

    /// Rows become columns. Tokens lie in memory one after another, panels hold them side by side.
    fn transpose(self, block: &Block) -> Block;

    /// Runs `kernel` in a function that is compiled for this set.
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output;

    /// `2ˣ` for `x ≤ 0`, to about two units in the last place; zero or subnormal below 2⁻¹²⁶.
    ///
    /// `x = n + f` with integral `n` and `|f| ≤ ½`; `2ᶠ` is a polynomial of degree 6, fitted in relative error
    /// at Chebyshev nodes (largest error 2·10⁻⁸ before rounding).
    #[inline(always)]
    fn exp2(self, x: Self::V) -> Self::V {
        let n = self.round(x);
        let f = self.sub(x, n);
        let mut p = self.splat(EXP2[6]);
        p = self.fma(p, f, self.splat(EXP2[5]));
        p = self.fma(p, f, self.splat(EXP2[4]));
        p = self.fma(p, f, self.splat(EXP2[3]));
        p = self.fma(p, f, self.splat(EXP2[2]));
        p = self.fma(p, f, self.splat(EXP2[1]));
        p = self.fma(p, f, self.splat(EXP2[0]));
        self.ldexp(p, n)
    }
}

/// Coefficients of `2ᶠ` on `[−½, ½]`.
const EXP2: [f32; 7] =
    [1.0, 0.693_147_24, 0.240_226_46, 0.055_503_152, 0.009_618_543, 0.001_340_463_6, 0.000_153_425_42];

/// A computation that can be compiled for any instruction set.
///
/// `run` and everything it calls in an inner loop is `#[inline(always)]`: code that is not inlined into
/// [`Simd::vectorize`] would be compiled for the baseline processor.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// An outer product with an accumulator of `DEPTH` rows by `VECS` vectors in registers.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // plain indices, so that the accumulator unrolls into registers
fn outer_tiled<S: Simd, const DEPTH: usize, const VECS: usize>(
    s: S,
    a: &[Col],
    b: &[Row],
    c: &mut [Row; CHUNK],
    accumulate: bool,
) {
    for r0 in (0..CHUNK).step_by(DEPTH) {
        for v0 in (0..PANEL / S::LANES).step_by(VECS) {
            let mut acc = [[s.splat(0.0); VECS]; DEPTH];
            if accumulate {
                for r in 0..DEPTH {
                    for v in 0..VECS {
                        acc[r][v] = s.load(&c[r0 + r], v0 + v);
                    }
                }
            }
            for (col, row) in a.iter().zip(b) {
                let mut vectors = [s.splat(0.0); VECS];
                for v in 0..VECS {
                    vectors[v] = s.load(row, v0 + v);
                }
                for r in 0..DEPTH {
                    let x = s.splat(col[r0 + r]);
                    for v in 0..VECS {
                        acc[r][v] = s.fma(x, vectors[v], acc[r][v]);
                    }
                }
            }
            for r in 0..DEPTH {
                for v in 0..VECS {
                    s.store(&mut c[r0 + r], v0 + v, acc[r][v]);
                }
            }
        }
    }
}

/// The instruction sets that a processor may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    Portable(portable::Portable),
}

/// The widest set of this processor, detected once. `PROXYATTN_CPU` set to `avx512`, `avx2` or `portable`
/// caps it.
fn detected() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        // A value that means nothing is refused by whoever loads a kernel.
        best(Env::process().cpu().unwrap_or(Cap::Avx512))
    })
}

fn best(cap: Cap) -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        if cap >= Cap::Avx512
            && let Some(token) = x86::Avx512::detect()
        {
            return Isa::Avx512(token);
        }
        if cap >= Cap::Avx2
            && let Some(token) = x86::Avx2::detect()
        {
            return Isa::Avx2(token);
        }
    }
    let _ = cap;
    Isa::Portable(portable::Portable)
}

thread_local! {
    static OF_THIS_THREAD: Cell<Isa> = Cell::new(detected());
}

/// What the CPU backend computes with on one thread: for tests that compare the sets within one process. Work that the
/// backend hands to threads of a pool is computed with those threads' sets, so a pool has one set for all of them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstructionSet(Isa);

impl InstructionSet {
    /// Every set that this processor has, the widest first.
    pub fn all() -> Vec<Self> {
        let mut sets = [Cap::Avx512, Cap::Avx2, Cap::Portable].map(|cap| Self(best(cap))).to_vec();
        sets.dedup();
        sets
    }

    /// The set of this thread: the process's, or what [`use_here`](Self::use_here) said last.
    pub fn here() -> Self {
        Self(OF_THIS_THREAD.get())
    }

    /// This thread uses the set from now on.
    pub fn use_here(self) {
        OF_THIS_THREAD.set(self.0);
    }
}

/// The name of the set that [`dispatch`] uses.
pub(crate) fn isa() -> &'static str {
    match OF_THIS_THREAD.get() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(_) => "AVX-512",
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(_) => "AVX2",
        Isa::Portable(_) => "portable",
    }
}

/// Runs `kernel` with the instructions of this thread: the widest of this processor, but for tests.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match OF_THIS_THREAD.get() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(s) => s.vectorize(kernel),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(s) => s.vectorize(kernel),
        Isa::Portable(s) => s.vectorize(kernel),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Exp2<'a>(&'a mut [Row]);

    impl Kernel for Exp2<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for row in self.0 {
                for i in 0..PANEL / S::LANES {
                    s.store(row, i, s.exp2(s.load(row, i)));
                }
            }
        }
    }

    struct Outer<'a> {
        a: &'a [Col],
        b: &'a [Row],
        c: &'a mut [Row; CHUNK],
        accumulate: bool,
    }

    impl Kernel for Outer<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            s.outer(self.a, self.b, self.c, self.accumulate);
        }
    }

    /// Every set that this processor has.
    fn sets() -> Vec<Isa> {
        InstructionSet::all().into_iter().map(|set| set.0).collect()
    }

    fn on<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(s) => s.vectorize(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(s) => s.vectorize(kernel),
            Isa::Portable(s) => s.vectorize(kernel),
        }
    }

    #[test]
    fn exp2_is_accurate_and_dies_out_quietly() {
        for isa in sets() {
            let mut rows = vec![[0.0; PANEL]; 4096];
            let x = |i: usize, j: usize| -((i * PANEL + j) as f32) / 1040.0;
            rows.iter_mut().enumerate().for_each(|(i, row)| *row = std::array::from_fn(|j| x(i, j)));
            on(isa, Exp2(&mut rows));
            for (i, row) in rows.iter().enumerate() {
                for (j, &got) in row.iter().enumerate() {
                    let want = f64::from(x(i, j)).exp2();
                    let error = (f64::from(got) / want - 1.0).abs();
                    assert!(error < 2.5e-7, "{isa:?}: 2^{} = {want}, got {got}", x(i, j));
                }
            }
            let mut edge = [[-1e30; PANEL]];
            edge[0][1] = 0.0;
            edge[0][2] = -1000.5;
            on(isa, Exp2(&mut edge));
            assert_eq!(edge[0][..4], [0.0, 1.0, 0.0, 0.0], "{isa:?}");
        }
    }

    struct Transpose(Block);

    impl Kernel for Transpose {
        type Output = Block;

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Block {
            s.transpose(&self.0)
        }
    }

    #[test]
    fn transposing_swaps_rows_and_columns() {
        let block: Block = std::array::from_fn(|i| std::array::from_fn(|j| (i * CHUNK + j) as f32));
        for isa in sets() {
            let turned = on(isa, Transpose(block));
            assert!((0..64).all(|i| turned[i % 8][i / 8] == block[i / 8][i % 8]), "{isa:?}");
        }
    }

    #[test]
    fn outer_products_agree_with_the_definition() {
        let value = |i: usize| ((i * 7919) % 97) as f32 - 48.0;
        let a: Vec<Col> = (0..13).map(|k| std::array::from_fn(|r| value(k * CHUNK + r))).collect();
        let b: Vec<Row> = (0..13).map(|k| std::array::from_fn(|j| value(1000 + k * PANEL + j))).collect();
        for isa in sets() {
            for accumulate in [false, true] {
                let mut c = [[3.0; PANEL]; CHUNK];
                on(isa, Outer { a: &a, b: &b, c: &mut c, accumulate });
                for (r, row) in c.iter().enumerate() {
                    for (j, &got) in row.iter().enumerate() {
                        let start = if accumulate { 3.0 } else { 0.0 };
                        let want = (0..13).fold(start, |sum, k| sum + a[k][r] * b[k][j]); // exact: small integers
                        assert_eq!(got, want, "{isa:?} {r},{j}");
                    }
                }
            }
        }
    }
}
