//! Budgets that look at nothing but the row: `top_k`, `ratio` and `all`.

mod syntax;

use super::{Contract, RowView};
use crate::pipeline::{Cx, Part};
use crate::{Block, Share};

/// The same count everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopK {
    /// Blocks for each row.
    pub blocks: u32,
}

impl TopK {
    /// As many as the documentation's example; the attribute has no default.
    pub const DEFAULT: TopK = TopK { blocks: 64 };
}

impl Contract for TopK {
    fn wanted(&self, _: RowView, _: u64) -> u64 {
        self.blocks.into()
    }

    fn floor_tokens(&self, block: Block) -> u64 {
        u64::from(self.blocks) * u64::from(block.kv)
    }

    fn expected_share(&self, floor: f64) -> f64 {
        floor
    }

    fn meaning(&self) -> String {
        format!("the best {} blocks of every row", self.blocks)
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        &["budget/flat/top_k.cuh"]
    }

    fn part(&self, _: &Cx<'_>) -> Part {
        Part { defines: vec![("TOP_K", self.blocks.to_string())], ..Part::default() }
    }
}

named! {
    /// How a share of the blocks is divided among the heads of a layer.
    pub enum Split {
        /// Each head has as much as its mass asks for: the total is known beforehand, the parts are not.
        Heads = "heads",
        /// Not at all: every head has the share.
        None = "none",
    }
}

/// A share of the blocks that the row can see, rounded up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// [Share], in (0, 1], to the nearest millionth.
    pub share: f64,
    /// Whether heads divide what they have together.
    pub split: Split,
    /// Tokens below which no row's budget falls where heads divide it; without effect where they do not.
    pub min_tokens: u32,
}

impl Ratio {
    /// The share of the documentation's example, for which the attribute has no default, not divided.
    pub const DEFAULT: Ratio = Ratio { share: 0.1, split: Split::None, min_tokens: 512 };
}

impl Contract for Ratio {
    fn wanted(&self, row: RowView, _: u64) -> u64 {
        Share::of(self.share).of_count(row.visible)
    }

    fn expected_share(&self, _: f64) -> f64 {
        self.share
    }

    fn meaning(&self) -> String {
        format!("{} of the blocks that a row can see", self.share)
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        &["budget/flat/ratio.cuh"]
    }

    fn part(&self, _: &Cx<'_>) -> Part {
        let share = Share::of(self.share).millionths();
        Part { defines: vec![("RATIO_MILLIONTHS", share.to_string())], ..Part::default() }
    }
}

/// Every block.
pub(super) struct All;

impl Contract for All {
    fn wanted(&self, row: RowView, _: u64) -> u64 {
        row.visible
    }

    fn expected_share(&self, _: f64) -> f64 {
        1.0
    }

    fn meaning(&self) -> String {
        "every block".into()
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        &[]
    }

    fn part(&self, _: &Cx<'_>) -> Part {
        Part::default()
    }
}
