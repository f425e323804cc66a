//! What counts as agreement with the reference, stated once for every suite.

mod agreement;
mod choice;
mod counts;
mod kernel_lists;
mod output;
mod structure;
mod ties;

pub use agreement::Agreement;
pub use choice::{lists, selection};
pub use kernel_lists::KernelLists;
pub use output::{distance, output};
pub use structure::structure;
pub use ties::Ties;

use proxyattn_runtime::Selection;

/// Lists and counts of a prefill, whoever made them.
pub trait Lists: Sync {
    /// How many blocks a head visits in a row.
    fn count(&self, batch: usize, head: usize, row: usize) -> usize;

    /// These blocks.
    fn blocks(&self, batch: usize, head: usize, row: usize) -> &[u32];
}

impl Lists for Selection {
    fn count(&self, batch: usize, head: usize, row: usize) -> usize {
        self.count(batch, head, row)
    }

    fn blocks(&self, batch: usize, head: usize, row: usize) -> &[u32] {
        self.blocks(batch, head, row)
    }
}
