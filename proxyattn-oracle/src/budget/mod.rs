//! How many blocks a head may visit in a row.

pub(crate) mod dynamic;
mod flat;
mod mass;
pub(crate) mod ratio;

use crate::{Grid, Oracle};
use proxyattn_codegen::{Budget, Dynamic, Order, Ratio, Rows, Split, TopK, Weigh};
use ratio::Total;

/// How a budget finds its counts in the masses of the last row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) order: Order,
    pub(crate) weigh: Weigh,
    pub(crate) reach: Reach,
}

/// How far a head's count reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// Until it holds this share of the mass.
    Gamma(f64),
    /// Until it holds the share that all heads of a sequence can afford.
    Total(Total),
}

impl Grid {
    /// Blocks that a head may visit in a row, when its last row needs `measured`.
    pub fn count(&self, measured: usize, row: usize) -> usize {
        let (visible, last) = (self.visible(row), self.visible(self.rows() - 1));
        let carried = |rows, min_tokens| {
            dynamic::carried(rows, measured, visible, last).max(dynamic::floor(min_tokens, self.spec.block))
        };
        let wanted = match self.spec.budget {
            Budget::All => visible,
            Budget::TopK(TopK { blocks }) => flat::top_k(blocks),
            Budget::Ratio(Ratio { share, split: Split::None, .. }) => ratio::share_of(share, visible),
            Budget::Ratio(Ratio { split: Split::Heads, min_tokens, .. }) => carried(Rows::Ratio, min_tokens),
            Budget::Dynamic(Dynamic { min_tokens, rows, .. }) => carried(rows, min_tokens),
        };
        let pinned = (0..visible).filter(|&block| self.is_pinned(row, block)).count();
        wanted.max(pinned).min(visible)
    }

    /// How the budget is measured; `None` for one that is not.
    pub(crate) fn measure_of_budget(&self) -> Option<Measure> {
        match self.spec.budget {
            Budget::Dynamic(Dynamic { gamma, order, weigh, .. }) => {
                Some(Measure { order, weigh, reach: Reach::Gamma(gamma) })
            }
            Budget::Ratio(Ratio { share, split: Split::Heads, min_tokens }) => {
                let visible = self.visible(self.rows() - 1);
                let floor = dynamic::floor(min_tokens, self.spec.block);
                let blocks = self.heads * ratio::share_of(share, visible);
                let reach = Reach::Total(Total { blocks, floor, visible });
                Some(Measure { order: Order::List, weigh: Weigh::Values, reach })
            }
            Budget::Ratio(Ratio { split: Split::None, .. }) | Budget::TopK(_) | Budget::All => None,
        }
    }
}

impl Oracle {
    /// The counts that a sequence's heads measure on the last row, before they are raised to what is pinned; 0 where the
    /// budget measures nothing.
    pub fn measured(&self, batch: usize) -> Vec<usize> {
        let Some(measure) = self.measure_of_budget() else { return vec![0; self.heads] };
        let held = |head| self.held(batch, head, &self.order(batch, head));
        let held: Vec<Vec<f64>> = (0..self.heads).map(held).collect();
        match measure.reach {
            Reach::Gamma(gamma) => held.iter().map(|held| dynamic::fewest(held, gamma)).collect(),
            Reach::Total(total) => {
                let gamma = total.gamma(held.iter().map(Vec::as_slice));
                held.iter().map(|held| total.count(held, gamma)).collect()
            }
        }
    }
}
