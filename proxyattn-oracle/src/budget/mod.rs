//! How many blocks a head may visit in a row.

pub(crate) mod dynamic;
mod flat;

use crate::Grid;
use proxyattn_codegen::{Budget, Dynamic, Ratio, TopK};

impl Grid {
    /// Blocks that a head may visit in a row, when its last row needs `measured`.
    pub fn count(&self, measured: usize, row: usize) -> usize {
        let visible = self.visible(row);
        let wanted = match self.spec.budget {
            Budget::All => visible,
            Budget::TopK(TopK { blocks }) => flat::top_k(blocks),
            Budget::Ratio(Ratio { share, .. }) => flat::ratio(share, visible),
            Budget::Dynamic(Dynamic { min_tokens, rows, .. }) => {
                let last = self.visible(self.rows() - 1);
                dynamic::carried(rows, measured, visible, last)
                    .max(dynamic::floor(min_tokens, self.spec.block))
            }
        };
        let pinned = (0..visible).filter(|&block| self.is_pinned(row, block)).count();
        wanted.max(pinned).min(visible)
    }

    /// The share of the mass that a measured budget reaches; none for a budget that is not measured.
    pub(crate) fn gamma(&self) -> Option<f64> {
        match self.spec.budget {
            Budget::Dynamic(Dynamic { gamma, .. }) => Some(gamma),
            Budget::TopK(_) | Budget::Ratio(_) | Budget::All => None,
        }
    }
}
