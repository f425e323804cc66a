//! Which blocks of a list are measured, and what its first ones hold by the curve.

use crate::Grid;
use core::ops::Range;

/// The first places of the last row's list, and two windows behind them.
fn ranges(grid: &Grid) -> [Range<usize>; 3] {
    let (blocks, block) = (grid.blocks(), grid.spec.block);
    let kept = (grid.spec.keep.sink + grid.spec.keep.local + block.q.div_ceil(block.kv) + 1) as usize;
    let (exact, window) = (kept + blocks.div_ceil(50), blocks.div_ceil(100));
    let near = exact.max((blocks / 10).saturating_sub(window / 2));
    let far = (near + window).max((6 * blocks / 10).saturating_sub(window / 2));
    match far + window > blocks {
        true => [0..blocks, blocks..blocks, blocks..blocks],
        false => [0..exact, near..near + window, far..far + window],
    }
}

/// The places that are measured, ascending.
pub(super) fn places(grid: &Grid) -> impl Iterator<Item = usize> {
    ranges(grid).into_iter().flatten()
}

/// Σ 1 / x over the ranks of places.
fn harmonic(places: Range<usize>) -> f64 {
    places.map(|place| 1.0 / (place as f64 + 1.0)).sum()
}

/// a and b of a / x + b through two points (1 / x, y), kept from rising and from falling below 0.
fn line([r1, y1]: [f64; 2], [r2, y2]: [f64; 2]) -> [f64; 2] {
    let a = (y1 - y2) / (r1 - r2);
    let b = y1 - a * r1;
    match (a > 0.0, b > 0.0) {
        (false, _) => [0.0, 0.5 * (y1 + y2)],
        (true, false) => [y1 / r1, 0.0],
        (true, true) => [a, b],
    }
}

/// The share of the whole that the first 1, 2, … places hold, from what each measured place weighs to each query.
pub(super) fn held(grid: &Grid, queries: &[Vec<f64>]) -> Vec<f64> {
    let [exact, near, far] = ranges(grid);
    let blocks = grid.blocks();
    let mut masses = vec![0.0; blocks];
    for weights in queries {
        let (first, windows) = weights.split_at(exact.len());
        let [a, b] = match near.is_empty() {
            true => [0.0, 0.0],
            false => {
                let point = |places: &Range<usize>, weights: &[f64]| {
                    let count = places.len() as f64;
                    [harmonic(places.clone()) / count, weights.iter().sum::<f64>() / count]
                };
                line(point(&near, &windows[..near.len()]), point(&far, &windows[near.len()..]))
            }
        };
        let weight = |place: usize| first.get(place).copied().unwrap_or_else(|| a / (place as f64 + 1.0) + b);
        let whole: f64 = (0..blocks).map(weight).sum();
        masses.iter_mut().enumerate().for_each(|(place, mass)| *mass += weight(place) / whole);
    }
    let whole: f64 = masses.iter().sum();
    let held = masses.iter().scan(0.0, |sum, mass| {
        *sum += mass / whole;
        Some(*sum)
    });
    held.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxyattn_codegen::Spec;

    /// Weights that are a curve are found whole: what the first places hold is what they hold of the curve.
    #[test]
    fn a_curve_is_found_from_its_samples() {
        let grid = Grid::new(&Spec::DEFAULT, [1, 1, 1, 32_768, 32_768]);
        let (a, b) = (5.0, 0.02);
        let weight = |place: usize| a / (place as f64 + 1.0) + b;
        let of_query = |scale: f64| places(&grid).map(|place| scale * weight(place)).collect::<Vec<_>>();
        let whole: f64 = (0..512).map(weight).sum();
        let mut sum = 0.0;
        for (place, held) in held(&grid, &[of_query(1.0), of_query(1e-3)]).into_iter().enumerate() {
            sum += weight(place) / whole;
            assert!((held - sum).abs() < 1e-12, "{place}: {held}, not {sum}");
        }
    }

    /// Of exponentials of normal logits in a perfect order, the curve holds nearly what the blocks do.
    #[test]
    fn a_steep_list_needs_few_and_a_flat_one_many() {
        let grid = Grid::new(&Spec::DEFAULT, [1, 1, 1, 32_768, 32_768]);
        let count = |weight: &dyn Fn(f64) -> f64| {
            let weights: Vec<f64> = places(&grid).map(|place| weight(place as f64 + 1.0)).collect();
            held(&grid, &[weights]).iter().position(|&held| held >= 0.7).map(|place| place + 1)
        };
        let flat = count(&|_| 1.0);
        assert_eq!(flat, Some(359), "0.7 of 512");
        let steep = count(&|x| 1.0 / (x * x)).expect("all hold everything");
        assert!(steep <= 2, "{steep}");
    }
}
