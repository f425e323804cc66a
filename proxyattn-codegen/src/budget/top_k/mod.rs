//! The budget `top_k`: the same count everywhere.

mod syntax;

use super::{Contract, RowView};
use crate::Block;
use crate::pipeline::{Cx, Part};

/// `top_k(blocks = 64)`: the same count everywhere, at least that of the blocks that are always kept.
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
        &["budget/top_k/wanted.cuh"]
    }

    fn part(&self, _: &Cx<'_>) -> Part {
        Part { defines: vec![("TOP_K", self.blocks.to_string())], ..Part::default() }
    }
}
