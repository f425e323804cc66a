//! `ratio`: a share of the blocks that a row sees, the same for every head or divided among them.

mod close;
mod split;
mod stages;

use super::held::Held;
use super::mass::{Measure, carried, floor};
use super::{Contract, Given};
use crate::stages::Buffers;
use crate::{Grid, Oracle};
use close::divides;
use proxyattn_codegen::{Budget, Order, Ratio, Rows, Split, Weigh};
use split::Total;

/// How heads divide a share.
const MEASURE: Measure = Measure { order: Order::List, weigh: Weigh::Values };

/// What somebody wrote as 0.07 is 7 of 100, whatever binary floats make of it.
fn share_of(share: f64, visible: usize) -> usize {
    ((share * 1e6).round() as usize * visible).div_ceil(1_000_000)
}

/// What heads divide on the last row.
fn total(ratio: &Ratio, grid: &Grid) -> Total {
    let visible = grid.visible(grid.rows() - 1);
    let floor = floor(ratio.min_tokens, grid.spec.block);
    Total { blocks: grid.heads * share_of(ratio.share, visible), floor, visible }
}

impl Contract for Ratio {
    fn examples() -> Vec<Budget> {
        vec![Budget::ratio(0.3), Budget::Ratio(Ratio { share: 0.3, split: Split::Heads, min_tokens: 64 })]
    }

    fn wanted(&self, grid: &Grid, row: usize, measured: usize) -> usize {
        match self.split {
            Split::None => share_of(self.share, grid.visible(row)),
            Split::Heads => {
                carried(grid, Rows::Ratio, row, measured).max(floor(self.min_tokens, grid.spec.block))
            }
        }
    }

    fn measured(&self, oracle: &Oracle, batch: usize) -> Vec<Vec<usize>> {
        let counts = match self.split {
            Split::None => vec![0; oracle.heads],
            Split::Heads => {
                let held = |head| MEASURE.held_in_order(oracle, batch, head);
                let held: Vec<Vec<f64>> = (0..oracle.heads).map(held).collect();
                let total = total(self, oracle);
                let gamma = total.gamma(held.iter().map(Vec::as_slice));
                held.iter().map(|held| total.count(held, gamma)).collect()
            }
        };
        counts.into_iter().map(|count| vec![count; oracle.rows()]).collect()
    }

    /// All heads have counts of one share of their masses, or none is as good.
    fn close(&self, given: &Given<'_>) -> Vec<Result<(), String>> {
        let heads = 0..given.oracle.heads;
        let verdict = match self.split {
            Split::None => Err(String::new()),
            Split::Heads => {
                let held: Vec<Held> = heads.clone().map(|head| Held::of(given, head, MEASURE)).collect();
                let counts: Vec<Vec<usize>> =
                    heads.clone().map(|head| given.explained_by(head).collect()).collect();
                divides(&total(self, given.oracle), &held, &counts)
            }
        };
        vec![verdict; heads.len()]
    }

    fn near(&self, left: &Buffers<'_>, oracle: &Oracle) {
        if self.split == Split::Heads {
            MEASURE.near(left, oracle);
            stages::near_parts(self, left, oracle);
        }
    }

    fn exact(&self, left: &Buffers<'_>) {
        if self.split == Split::Heads {
            stages::exact_parts(self, left);
        }
    }
}
