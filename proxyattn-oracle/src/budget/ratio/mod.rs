//! `ratio`: a share of the blocks that a row sees.

mod split;

pub use split::Total;

/// What somebody wrote as 0.07 is 7 of 100, whatever binary floats make of it.
pub(crate) fn share_of(share: f64, visible: usize) -> usize {
    ((share * 1e6).round() as usize * visible).div_ceil(1_000_000)
}
