//! Budgets that no input decides.

pub(crate) fn top_k(blocks: u32) -> usize {
    blocks as usize
}

/// What somebody wrote as 0.07 is 7 of 100, whatever binary floats make of it.
pub(crate) fn ratio(share: f64, visible: usize) -> usize {
    ((share * 1e6).round() as usize * visible).div_ceil(1_000_000)
}
