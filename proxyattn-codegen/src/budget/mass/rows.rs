//! How the count of the last row, on which a budget is measured, applies to the other rows.

use crate::budget::RowView;
use crate::pipeline::{Cx, Part};

named! {
    /// How a dynamic budget, measured on the last row of blocks, applies to the other rows.
    pub enum Rows {
        /// The same share of each row's visible blocks, rounded up.
        Ratio = "ratio",
        /// The same count for every row: the paper's literal reading.
        Absolute = "absolute",
    }
}

/// The template of `wanted_blocks`.
pub(in crate::budget) const WANTED: &[&str] = &["budget/mass/wanted.cuh"];

impl Rows {
    /// Blocks that a head wants of a row, before bounds, where `measured` were counted on the last row.
    pub(in crate::budget) fn wanted(self, row: RowView, measured: u64, min_tokens: u32) -> u64 {
        let scaled = match self {
            Rows::Absolute => measured,
            Rows::Ratio => (measured * row.visible).div_ceil(row.last_visible),
        };
        scaled.max(min_tokens.div_ceil(row.block_kv).into())
    }

    /// The count of the last row, as a share of its blocks, at which `share` of the visible tiles are kept.
    pub(in crate::budget) fn measured_share(self, share: f64, causal: bool) -> f64 {
        match self {
            Rows::Ratio => share,
            // A constant count is a larger share of the shorter rows: for small shares, twice as large on average.
            Rows::Absolute => {
                if causal {
                    share / 2.0
                } else {
                    share
                }
            }
        }
    }
}

/// What `wanted_blocks` asks for.
pub(in crate::budget) fn part(cx: &Cx<'_>, rows: Rows, min_tokens: u32) -> Part {
    Part {
        sections: vec![("ROWS_RATIO", rows == Rows::Ratio)],
        defines: vec![("MIN_BLOCKS", min_tokens.div_ceil(cx.spec.block.kv).to_string())],
        ..Part::default()
    }
}
