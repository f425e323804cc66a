//! Budgets that look at nothing but the row: `top_k`, `ratio` and `all`.

use super::{Contract, RowView};
use crate::pipeline::{Cx, Part};
use crate::{Block, Share};
use core::fmt;

/// The same count everywhere.
pub(super) struct TopK {
    pub(super) blocks: u32,
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

/// A share of what the row can see.
pub(super) struct Ratio {
    pub(super) share: f64,
}

impl Contract for Ratio {
    fn wanted(&self, row: RowView, _: u64) -> u64 {
        Share::of(self.share).of_count(row.visible)
    }

    fn expected_share(&self, _: f64) -> f64 {
        self.share
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
