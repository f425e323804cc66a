//! Budgets that look at nothing but the row: `top_k`, `ratio` and `all`.

use super::{Contract, RowView};
use crate::pipeline::{Cx, Part};
use crate::{Block, Share};
use core::fmt;

/// The same count everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopK {
    /// Blocks for each row.
    pub blocks: u32,
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

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "top_k(blocks = {})", self.blocks)
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

impl Contract for Ratio {
    fn wanted(&self, row: RowView, measured: u64) -> u64 {
        match self.split {
            Split::None => Share::of(self.share).of_count(row.visible),
            Split::Heads => (measured * row.visible)
                .div_ceil(row.last_visible)
                .max(self.min_tokens.div_ceil(row.block_kv).into()),
        }
    }

    fn is_measured(&self) -> bool {
        self.split == Split::Heads
    }

    fn differs_within_group(&self) -> bool {
        self.split == Split::Heads
    }

    fn floor_tokens(&self, _: Block) -> u64 {
        match self.split {
            Split::None => 0,
            Split::Heads => self.min_tokens.into(),
        }
    }

    fn expected_share(&self, floor: f64) -> f64 {
        self.share.max(floor)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ratio({})", self.share)
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

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all")
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
