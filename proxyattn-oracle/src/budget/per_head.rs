//! `per_head`: a share of the blocks that a row sees, for each head by its weight.

use super::Contract;
use super::mass::floor;
use crate::{Grid, Oracle};
use proxyattn_codegen::{Budget, PerHead};

/// The weight of a head of the layer that every suite loads: fewer and more than its fellows, in turns.
pub(super) fn weight(head: usize) -> f64 {
    [0.5, 1.75, 1.0, 0.25, 1.5][head % 5]
}

/// What a head has of a row's blocks, in millionths.
fn millionths(share: f64, head: usize) -> usize {
    (share * weight(head) * 1e6).round().min(1e6) as usize
}

impl Contract for PerHead {
    fn examples() -> Vec<Budget> {
        vec![Budget::PerHead(PerHead { share: 0.3, min_tokens: 64 })]
    }

    fn wanted(&self, grid: &Grid, row: usize, measured: usize) -> usize {
        (measured * grid.visible(row)).div_ceil(1_000_000).max(floor(self.min_tokens, grid.spec.block))
    }

    fn measured(&self, oracle: &Oracle, _: usize) -> Vec<Vec<usize>> {
        (0..oracle.heads).map(|head| vec![millionths(self.share, head); oracle.rows()]).collect()
    }
}
