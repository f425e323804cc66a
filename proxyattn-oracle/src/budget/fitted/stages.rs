//! What kernels leave on the way to the counts.

use super::{SLACK, held_in, log_weights};
use crate::Oracle;
use crate::budget::fitted::curve::{held, places};
use crate::budget::mass::{fewest, partials};
use crate::stages::Buffers;
use proxyattn_codegen::Fitted;
use proxyattn_codegen::cuda::Scratch;

/// The order of a head's list of the last row, by what the scorer's kernels have left.
fn order(left: &Buffers<'_>, [batch, head]: [usize; 2]) -> Vec<usize> {
    let grid = left.grid;
    left.ranking(batch * grid.groups + head / (grid.heads / grid.groups), grid.rows() - 1)
}

/// The measured blocks are those of the list, exactly; partials and counts are near those of the reference.
pub(super) fn near(fitted: &Fitted, left: &Buffers<'_>, oracle: &Oracle) {
    let (grid, sampled, measured) = (left.grid, left.words(Scratch::Sampled), left.measured());
    for (batch, head) in left.all_heads() {
        let order = order(left, [batch, head]);
        let blocks: Vec<usize> = places(grid).map(|place| order[place]).collect();
        let group = batch * grid.groups + head / (grid.heads / grid.groups);
        let got = &sampled[group * blocks.len()..][..blocks.len()];
        assert!(got.iter().zip(&blocks).all(|(&got, &want)| got as usize == want), "{got:?}, not {blocks:?}");
        let sums = |token| {
            let sums = oracle.block_sums(batch, head, token);
            blocks.iter().map(|&block| sums[block]).collect()
        };
        partials(left, Scratch::PartialSum, [batch, head], sums);
        let held = held_in(grid, &log_weights(oracle, batch, head), &order);
        let [low, high] = [-SLACK, SLACK].map(|slack| fewest(&held, fitted.share + slack));
        let got = measured(batch, head, grid.rows() - 1);
        assert!((low..=high).contains(&got), "head {batch}/{head}: {got} blocks, not {low}..={high}");
    }
}

/// Counts are those of the partials: as many blocks as hold the share, but for the last bits of f32.
pub(super) fn exact_counts(fitted: &Fitted, left: &Buffers<'_>) {
    let (grid, measured) = (left.grid, left.measured());
    let (maxima, sums) = (left.floats(Scratch::PartialMax), left.floats(Scratch::PartialSum));
    let (count, rows) = (places(grid).count(), grid.spec.block.q as usize);
    for (batch, head) in left.all_heads() {
        let first = (batch * grid.heads + head) * count * rows;
        let of_query = |query| {
            let at = |place: usize| first + place * rows + query;
            let top = (0..count).map(|place| maxima[at(place)]).fold(f32::NEG_INFINITY, f32::max);
            let weight = |place| f64::from(sums[at(place)]) * f64::from(maxima[at(place)] - top).exp2();
            (0..count).map(weight).collect::<Vec<f64>>()
        };
        let queries: Vec<_> = (0..grid.last_queries().len()).map(of_query).collect();
        let held = held(grid, &queries);
        let [low, high] = [-1e-5, 1e-5].map(|slack| fewest(&held, fitted.share + slack));
        let got = measured(batch, head, grid.rows() - 1);
        assert!((low..=high).contains(&got), "head {batch}/{head}: {got} blocks, not {low}..={high}");
    }
}
