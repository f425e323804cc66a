//! The key blocks that each head visits in each block row.

mod map;

pub use map::BlockMap;

use crate::memory::{product, room};
use crate::{Geometry, Plan, Result};

/// The block lists of one prefill.
///
/// A group of heads has **one** list per row, and each head visits a prefix of it, so the heads of a group visit nested sets.
/// A list is divided into segments at the heads' counts: first the blocks that every head visits, then those that the head
/// with the second smallest count adds, and so on. Blocks are in ascending order within each segment.
///
/// Printed, it is a picture of the blocks that all heads visit; [`map`](Self::map) is that of one head.
///
/// ```
/// use proxyattn::prelude::*;
/// use proxyattn::synthetic::Synthetic;
///
/// #[proxy_attention(budget = ratio(0.25))]
/// struct Quarter;
///
/// let inputs = Synthetic { tokens: 512, ..Synthetic::DEFAULT }.generate()?;
/// let attention = Quarter::load(&Device::cpu())?;
/// let selection = attention.prefill_traced(&inputs.q, &inputs.k, &inputs.v, &())?.selection;
/// println!("{selection}");
/// assert_eq!(selection.blocks(0, 3, 7), [0, 7], "of the last row: the first block, and that of its own tokens");
/// assert_eq!(selection.count(0, 3, 7), 2);
/// assert!((selection.density() - 15.0 / 36.0).abs() < 1e-9);
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    pub(crate) geometry: Geometry,
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) groups: usize,
    /// The start of each list in `blocks`, as `[batch, group, row]`, and the end of the last.
    pub(crate) starts: Vec<usize>,
    /// The lists, concatenated.
    pub(crate) blocks: Vec<u32>,
    /// `[batch, head, row]`.
    pub(crate) counts: Vec<u32>,
}

impl Selection {
    /// The selection of dense attention: every list holds every visible block.
    pub(crate) fn dense(plan: &Plan) -> Result<Self> {
        let (geometry, problem) = (plan.geometry(), plan.problem());
        let lists = product(&[problem.batch, plan.groups(), geometry.rows()]);
        let visible = usize::try_from(geometry.visible_tiles()).unwrap_or(usize::MAX);
        let mut selection = Self {
            geometry,
            batch: problem.batch,
            heads: problem.heads,
            groups: plan.groups(),
            starts: room("lists", lists.saturating_add(1))?,
            blocks: room("lists", product(&[problem.batch, plan.groups(), visible]))?,
            counts: room("counts", product(&[problem.batch, problem.heads, geometry.rows()]))?,
        };
        selection.starts.push(0);
        for _ in 0..problem.batch * plan.groups() {
            for row in 0..geometry.rows() {
                selection.blocks.extend(0..geometry.visible(row) as u32);
                selection.starts.push(selection.blocks.len());
            }
        }
        for _ in 0..problem.batch * problem.heads {
            selection.counts.extend((0..geometry.rows()).map(|row| geometry.visible(row) as u32));
        }
        Ok(selection)
    }

    /// The block geometry.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Number of query heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Number of groups, each of which shares one list per row.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The list that the heads of a group share in a row. Its length is their largest count.
    ///
    /// # Panics
    /// If an index is out of bounds.
    pub fn list(&self, batch: usize, group: usize, row: usize) -> &[u32] {
        let rows = self.geometry.rows();
        assert!(group < self.groups && row < rows, "group {group}, row {row} of {} × {rows}", self.groups);
        let i = (batch * self.groups + group) * rows + row;
        &self.blocks[self.starts[i]..self.starts[i + 1]]
    }

    /// How many blocks of its group's list a head visits in a row.
    ///
    /// # Panics
    /// If an index is out of bounds.
    pub fn count(&self, batch: usize, head: usize, row: usize) -> usize {
        let rows = self.geometry.rows();
        assert!(head < self.heads && row < rows, "head {head}, row {row} of {} × {rows}", self.heads);
        self.counts[(batch * self.heads + head) * rows + row] as usize
    }

    /// The blocks that a head visits in a row.
    ///
    /// # Panics
    /// If an index is out of bounds.
    pub fn blocks(&self, batch: usize, head: usize, row: usize) -> &[u32] {
        let group = head / (self.heads / self.groups);
        &self.list(batch, group, row)[..self.count(batch, head, row)]
    }

    /// Visited tiles divided by the tiles that dense attention visits, for one head of one sequence.
    pub fn head_density(&self, batch: usize, head: usize) -> f64 {
        let visited: u64 = (0..self.geometry.rows()).map(|row| self.count(batch, head, row) as u64).sum();
        visited as f64 / self.geometry.visible_tiles() as f64
    }

    /// Visited tiles divided by the tiles that dense attention visits, over all heads.
    pub fn density(&self) -> f64 {
        let visited: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        visited as f64 / (self.geometry.visible_tiles() as f64 * (self.batch * self.heads) as f64)
    }
}
