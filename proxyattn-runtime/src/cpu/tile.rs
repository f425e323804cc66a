//! One tile of attention, transposed: keys (or dims) down, 32 query rows across.
//!
//! With the query rows in the vector lanes, the running maximum, the sum and the rescale of the softmax are
//! plain vector operations, and both products are the same outer product:
//!
//! ```text
//! scores   Sᵀ[key][row]  = Σ_d   K[d][key] · Q[d][row]       K in chunks of 8 keys, Q a panel of 32 rows
//! output   Oᵀ[dim][row] += Σ_key V[key][dim] · P[key][row]   V in chunks of 8 dims
//! ```

use super::simd::{CHUNK, Col, PANEL, Row, Simd};

/// The score of a pair that the causal rule or the tail forbids. Finite, so that no subtraction of two of
/// them is NaN; far below [`MAX_SCORE`](super::inputs::MAX_SCORE), so that its exponential is 0.
pub(super) const MASKED: f32 = -1e30;

/// `Sᵀ = K·Q` for the first `out.len()` keys. `keys` holds a chunk of 8 keys after another, each `dim` columns of 8.
#[inline(always)]
pub(super) fn scores<S: Simd>(s: S, keys: &[Col], q: &[Row], out: &mut [Row]) {
    let (chunks, rest) = out.as_chunks_mut::<CHUNK>();
    debug_assert!(rest.is_empty() && keys.len() >= q.len() * chunks.len());
    for (chunk, keys) in chunks.iter_mut().zip(keys.chunks_exact(q.len())) {
        s.outer(keys, q, chunk, false);
    }
}

/// How many keys of a tile that begins at `first` have to be looked at: up to the last that any row sees,
/// in whole chunks.
#[inline(always)]
pub(super) fn reach(first: usize, len: usize, limits: &[u32; PANEL]) -> usize {
    let last = limits.iter().fold(0, |max, &limit| limit.max(max)) as usize;
    last.saturating_sub(first).min(len).next_multiple_of(CHUNK)
}

/// Forbids the keys from `limits[row]` on, where the tile's first key is `first`.
#[inline(always)]
pub(super) fn mask(tile: &mut [Row], first: usize, limits: &[u32; PANEL]) {
    for (i, scores) in tile.iter_mut().enumerate() {
        let key = (first + i) as u32;
        for (score, &limit) in scores.iter_mut().zip(limits) {
            *score = if key < limit { *score } else { MASKED };
        }
    }
}

/// The largest score of each row, and of `floor`.
#[inline(always)]
pub(super) fn row_max<S: Simd>(s: S, tile: &[Row], floor: &Row) -> Row {
    let mut out = *floor;
    for i in 0..PANEL / S::LANES {
        let mut max = s.load(floor, i);
        for row in tile {
            max = s.max(max, s.load(row, i));
        }
        s.store(&mut out, i, max);
    }
    out
}

/// Replaces each score by `2^(score − max)` and returns the sum over the keys.
#[inline(always)]
pub(super) fn exponentiate<S: Simd>(s: S, tile: &mut [Row], max: &Row) -> Row {
    let mut out = [0.0; PANEL];
    for i in 0..PANEL / S::LANES {
        let m = s.load(max, i);
        let mut sum = s.splat(0.0);
        for row in tile.iter_mut() {
            let p = s.exp2(s.sub(s.load(row, i), m));
            sum = s.add(sum, p);
            s.store(row, i, p);
        }
        s.store(&mut out, i, sum);
    }
    out
}

/// The sum over the keys of `2^(score − max)`; the scores stay.
#[inline(always)]
pub(super) fn sum_exp<S: Simd>(s: S, tile: &[Row], max: &Row) -> Row {
    let mut out = [0.0; PANEL];
    for i in 0..PANEL / S::LANES {
        let m = s.load(max, i);
        let mut sum = s.splat(0.0);
        for row in tile {
            sum = s.add(sum, s.exp2(s.sub(s.load(row, i), m)));
        }
        s.store(&mut out, i, sum);
    }
    out
}

/// [`sum_exp`], and the same sum with each key's part times its weight.
#[inline(always)]
pub(super) fn weighed_sum_exp<S: Simd>(s: S, tile: &[Row], max: &Row, weights: &[f32]) -> (Row, Row) {
    let (mut sums, mut weighed_sums) = ([0.0; PANEL], [0.0; PANEL]);
    for i in 0..PANEL / S::LANES {
        let m = s.load(max, i);
        let (mut sum, mut weighed) = (s.splat(0.0), s.splat(0.0));
        for (row, &weight) in tile.iter().zip(weights) {
            let p = s.exp2(s.sub(s.load(row, i), m));
            sum = s.add(sum, p);
            weighed = s.fma(p, s.splat(weight), weighed);
        }
        s.store(&mut sums, i, sum);
        s.store(&mut weighed_sums, i, weighed);
    }
    (sums, weighed_sums)
}

/// The softmax of a panel of rows, as far as its keys have come.
#[derive(Clone, Copy)]
pub(super) struct Running {
    /// The largest score so far.
    pub(super) max: Row,
    /// The sum so far of `2^(score − max)`.
    pub(super) sum: Row,
}

impl Running {
    pub(super) const START: Self = Self { max: [MASKED; PANEL], sum: [0.0; PANEL] };

    /// Raises the maximum to `max`. Returns the factors that what was summed so far must be multiplied by,
    /// or `None` where no maximum grew and all of them are 1.
    #[inline(always)]
    pub(super) fn raise<S: Simd>(&mut self, s: S, max: Row) -> Option<Row> {
        let grew =
            (0..PANEL / S::LANES).fold(false, |any, i| any | s.any_gt(s.load(&max, i), s.load(&self.max, i)));
        if !grew {
            return None;
        }
        let mut factors = [0.0; PANEL];
        for i in 0..PANEL / S::LANES {
            let factor = s.exp2(s.sub(s.load(&self.max, i), s.load(&max, i)));
            s.store(&mut factors, i, factor);
            let sum = s.mul(s.load(&self.sum, i), factor);
            s.store(&mut self.sum, i, sum);
        }
        self.max = max;
        Some(factors)
    }

    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, s: S, sum: &Row) {
        for i in 0..PANEL / S::LANES {
            let total = s.add(s.load(&self.sum, i), s.load(sum, i));
            s.store(&mut self.sum, i, total);
        }
    }
}

/// Multiplies each column of a tile by the factor of its row.
#[inline(always)]
pub(super) fn rescale<S: Simd>(s: S, tile: &mut [Row], factors: &Row) {
    for i in 0..PANEL / S::LANES {
        let factor = s.load(factors, i);
        for row in tile.iter_mut() {
            let scaled = s.mul(s.load(row, i), factor);
            s.store(row, i, scaled);
        }
    }
}

/// `Oᵀ = V·P` for the first `p.len()` keys of a block, or added to what `out` holds. `values` holds a chunk of 8 dims after another, each
/// `block` columns of 8.
#[inline(always)]
pub(super) fn accumulate<S: Simd>(s: S, values: &[Col], block: usize, p: &[Row], out: &mut [Row], add: bool) {
    let (chunks, rest) = out.as_chunks_mut::<CHUNK>();
    debug_assert!(rest.is_empty() && values.len() == block * chunks.len());
    for (chunk, values) in chunks.iter_mut().zip(values.chunks_exact(block)) {
        s.outer(&values[..p.len()], p, chunk, add);
    }
}
