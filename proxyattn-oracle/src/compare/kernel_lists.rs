//! Lists as kernels lay them out.

use super::Lists;
use crate::Grid;

/// Lists of a group, `[batch · groups, rows, blocks]`, and counts of a head, `[batch · heads, rows]`.
#[derive(Clone, Debug)]
pub struct KernelLists<'a> {
    grid: &'a Grid,
    lists: Vec<u32>,
    counts: Vec<u32>,
}

impl<'a> KernelLists<'a> {
    /// The words of the two buffers.
    pub fn new(grid: &'a Grid, lists: Vec<u32>, counts: Vec<u32>) -> Self {
        assert_eq!(lists.len(), grid.batch * grid.groups * grid.rows() * grid.blocks(), "words of lists");
        assert_eq!(counts.len(), grid.batch * grid.heads * grid.rows(), "counts");
        Self { grid, lists, counts }
    }
}

impl Lists for KernelLists<'_> {
    fn count(&self, batch: usize, head: usize, row: usize) -> usize {
        self.counts[(batch * self.grid.heads + head) * self.grid.rows() + row] as usize
    }

    fn blocks(&self, batch: usize, head: usize, row: usize) -> &[u32] {
        let grid = self.grid;
        let group = (batch * grid.heads + head) / (grid.heads / grid.groups);
        &self.lists[(group * grid.rows() + row) * grid.blocks()..][..self.count(batch, head, row)]
    }
}
