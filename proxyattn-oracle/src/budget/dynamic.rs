//! `dynamic`: as many blocks as hold γ of the softmax mass of a head's last queries.

use proxyattn_codegen::{Block, Rows};

/// The fewest blocks whose share of the mass reaches `gamma`, of the shares that the first 1, 2, … hold.
pub fn fewest(held: &[f64], gamma: f64) -> usize {
    held.iter().position(|&share| share >= gamma).map_or(held.len(), |i| i + 1)
}

/// What the last row's count is for another row.
pub(crate) fn carried(rows: Rows, measured: usize, visible: usize, last_visible: usize) -> usize {
    match rows {
        Rows::Ratio => (measured * visible).div_ceil(last_visible),
        Rows::Absolute => measured,
    }
}

/// The least blocks of any row.
pub(crate) fn floor(min_tokens: u32, block: Block) -> usize {
    min_tokens.div_ceil(block.kv) as usize
}
