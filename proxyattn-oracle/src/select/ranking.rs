//! The order of a row's blocks.

use crate::{Grid, Scores};

impl Grid {
    /// Blocks of a row, best first: the pinned ones, then by score, then by index.
    pub fn ranking(&self, row: usize, scores: &Scores) -> Vec<usize> {
        let pinned: Vec<bool> = (0..self.visible(row)).map(|block| self.is_pinned(row, block)).collect();
        let mut blocks: Vec<usize> = (0..pinned.len()).collect();
        blocks.sort_by(|&a, &b| {
            pinned[b].cmp(&pinned[a]).then(scores[b].total_cmp(&scores[a])).then(a.cmp(&b))
        });
        blocks
    }
}
