//! The order of a row's blocks.

use crate::{Grid, Scores};

impl Grid {
    /// Blocks of a row, best first: the pinned ones by index, whatever their scores, then by score, then by index.
    pub fn ranking(&self, row: usize, scores: &Scores) -> Vec<usize> {
        let pinned: Vec<bool> = (0..self.visible(row)).map(|block| self.is_pinned(row, block)).collect();
        let score = |block: usize| if pinned[block] { f64::INFINITY } else { scores[block] };
        let mut blocks: Vec<usize> = (0..pinned.len()).collect();
        blocks
            .sort_by(|&a, &b| pinned[b].cmp(&pinned[a]).then(score(b).total_cmp(&score(a))).then(a.cmp(&b)));
        blocks
    }
}
