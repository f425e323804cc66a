//! What follows from a budget, whatever runs it.

use crate::{Block, Budget, Rows, Share, Spec};

/// What a dynamic budget is taken to keep, since that is known only when it has run: the defaults keep a fifth of the
/// blocks of real contexts.
const DYNAMIC_SHARE: f64 = 0.2;

/// A row of blocks, as a budget looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowView {
    /// Blocks that the row can see.
    pub visible: u64,
    /// Blocks that the last row can see, on which a budget is measured.
    pub last_visible: u64,
    /// Key tokens of a block.
    pub block_kv: u32,
}

impl Budget {
    /// Blocks that a head wants of a row, before bounds. `measured` is the count that was found on the last row; kinds that
    /// are not [measured](Self::is_measured) do not look at it.
    pub fn wanted(self, row: RowView, measured: u64) -> u64 {
        let visible = row.visible;
        match self {
            Budget::All => visible,
            Budget::TopK { blocks } => blocks.into(),
            Budget::Ratio { share } => Share::of(share).of_count(visible),
            Budget::Dynamic { min_tokens, rows, .. } => {
                let scaled = match rows {
                    Rows::Absolute => measured,
                    Rows::Ratio => (measured * visible).div_ceil(row.last_visible),
                };
                scaled.max(min_tokens.div_ceil(row.block_kv).into())
            }
        }
    }

    /// Whether each head's own last queries are looked at to say how many blocks it needs.
    pub const fn is_measured(self) -> bool {
        match self {
            Budget::Dynamic { .. } => true,
            Budget::TopK { .. } | Budget::Ratio { .. } | Budget::All => false,
        }
    }

    /// Whether heads of a group may visit different numbers of blocks of one row.
    pub const fn differs_within_group(self) -> bool {
        match self {
            Budget::Dynamic { .. } => true,
            Budget::TopK { .. } | Budget::Ratio { .. } | Budget::All => false,
        }
    }

    /// Tokens that it keeps of every row that has as many, whatever the scores are.
    pub const fn floor_tokens(self, block: Block) -> u64 {
        match self {
            Budget::Dynamic { min_tokens, .. } => min_tokens as u64,
            Budget::TopK { blocks } => blocks as u64 * block.kv as u64,
            Budget::Ratio { .. } | Budget::All => 0,
        }
    }
}

impl Spec {
    /// The share of the visible tiles of a whole context that the budget is expected to keep, as far as the context's length
    /// tells.
    pub fn expected_share(&self, kv_len: u64) -> f64 {
        // Half of the tiles of a causal context are visible.
        let visible = kv_len as f64 / if self.causal { 2.0 } else { 1.0 };
        let floor = (self.budget.floor_tokens(self.block) as f64 / visible).min(1.0);
        match self.budget {
            Budget::Dynamic { .. } => floor.max(DYNAMIC_SHARE),
            Budget::TopK { .. } => floor,
            Budget::Ratio { share } => share,
            Budget::All => 1.0,
        }
    }

    /// The measured count of the last row, as a share of its blocks, at which the budget keeps `share` of the visible tiles;
    /// `None` where nothing is measured.
    pub fn measured_share(&self, share: f64) -> Option<f64> {
        match self.budget {
            Budget::Dynamic { rows: Rows::Ratio, .. } => Some(share),
            // A constant count is a larger share of the shorter rows: for small shares, twice as large on average.
            Budget::Dynamic { rows: Rows::Absolute, .. } => {
                Some(if self.causal { share / 2.0 } else { share })
            }
            Budget::TopK { .. } | Budget::Ratio { .. } | Budget::All => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_from_the_budget() {
        let of = |budget| Spec { budget, ..Spec::DEFAULT };
        let dynamic = |rows| of(Budget::Dynamic { gamma: 0.9, min_tokens: 512, rows });
        assert_eq!(dynamic(Rows::Ratio).expected_share(1 << 20), DYNAMIC_SHARE);
        assert_eq!(
            dynamic(Rows::Ratio).expected_share(2048),
            0.5,
            "512 of the 1024 that a row sees on average"
        );
        assert_eq!(dynamic(Rows::Ratio).expected_share(100), 1.0);
        assert_eq!(of(Budget::TopK { blocks: 8 }).expected_share(10_240), 0.1);
        assert_eq!(Spec { causal: false, ..of(Budget::TopK { blocks: 8 }) }.expected_share(10_240), 0.05);
        assert_eq!(of(Budget::Ratio { share: 0.3 }).expected_share(1), 0.3);
        assert_eq!(of(Budget::All).expected_share(1), 1.0);
        assert_eq!(dynamic(Rows::Ratio).measured_share(0.2), Some(0.2));
        assert_eq!(dynamic(Rows::Absolute).measured_share(0.2), Some(0.1));
        assert_eq!(of(Budget::Ratio { share: 0.3 }).measured_share(0.3), None);
    }
}
