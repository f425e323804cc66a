//! The shares and counts that kernels leave.

use super::{MEASURE, total};
use crate::Oracle;
use crate::budget::mass;
use crate::stages::Buffers;
use proxyattn_codegen::Ratio;
use proxyattn_codegen::cuda::Scratch;

/// Shares are exactly those of the masses in the list's order, and counts those at the largest share that fits the total.
pub(super) fn exact_parts(ratio: &Ratio, left: &Buffers<'_>) {
    let grid = left.grid;
    let (blocks, heads, total) = (grid.blocks(), grid.heads, total(ratio, grid));
    let (shares, measured) = (left.words(Scratch::Shares), left.measured());
    for batch in 0..grid.batch {
        let held: Vec<Vec<u64>> = (0..heads).map(|head| held(left, [batch, head])).collect();
        for (head, want) in held.iter().enumerate() {
            let got = &shares[(batch * heads + head) * blocks..][..blocks];
            let got: Vec<u64> = got.iter().map(|&share| share.into()).collect();
            assert_eq!(&got, want, "shares of {batch}/{head}");
        }
        let count = |held: &Vec<u64>, bound| {
            (1 + held.partition_point(|&share| share < bound)).max(total.floor).min(blocks)
        };
        let fits = |bound| held.iter().map(|held| count(held, bound)).sum::<usize>() <= total.blocks;
        // Counts change where a bound passes a share.
        let mut bounds: Vec<u64> = held.iter().flatten().copied().collect();
        bounds.sort_unstable();
        let share = bounds[..bounds.partition_point(|&bound| fits(bound))].last().map_or(0, |&bound| bound);
        let want: Vec<usize> = held.iter().map(|held| count(held, share)).collect();
        let got: Vec<usize> = (0..heads).map(|head| measured(batch, head, grid.rows() - 1)).collect();
        assert_eq!(got, want, "counts of {batch}");
    }
}

/// Counts lie between those at slightly smaller and slightly larger shares of the reference's masses.
pub(super) fn near_parts(ratio: &Ratio, left: &Buffers<'_>, oracle: &Oracle) {
    let (total, measured) = (total(ratio, left.grid), left.measured());
    for batch in 0..oracle.batch {
        let held = |head| {
            let order = MEASURE.left_order(left, [batch, head]);
            mass::held(MEASURE.masses(oracle, batch, head), &order)
        };
        let held: Vec<Vec<f64>> = (0..oracle.heads).map(held).collect();
        let gamma = total.gamma(held.iter().map(Vec::as_slice));
        for (head, held) in held.iter().enumerate() {
            let got = measured(batch, head, oracle.rows() - 1);
            let [low, high] = [gamma - 5e-4, gamma + 5e-4].map(|gamma| total.count(held, gamma));
            assert!((low..=high).contains(&got), "head {batch}/{head}: {got} blocks, not {low}..={high}");
        }
    }
}

/// What the first blocks of a head's list hold of its mass, in fractions of 2^32; all of it is one less.
fn held(left: &Buffers<'_>, of: [usize; 2]) -> Vec<u64> {
    let masses = mass::masses(left, of);
    let whole: u64 = masses.iter().sum();
    let mut sum = 0;
    let order = MEASURE.left_order(left, of);
    let held = order.iter().map(|&block| {
        sum += masses[block];
        if sum == whole { u32::MAX.into() } else { (sum << 32) / whole }
    });
    held.collect()
}
