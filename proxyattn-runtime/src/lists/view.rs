//! Block numbers as others write them.

use crate::{Error, Result};

/// Block numbers in host memory: for each sequence, list head and row, the blocks of keys that its queries visit.
///
/// A number is an `i32`, -1 stands for none, and every list has room for as many. This is the contract of cuDNN's sparse
/// attention, with a list for each *row*, a block of [`block.q`](proxyattn_codegen::Block::q) queries, in place of each
/// query. The list heads are one for all heads, or one for each KV head, or one for each query head.
///
/// ```
/// use proxyattn::ListView;
///
/// // One sequence, one list for all heads, two rows: the first visits block 0, the second blocks 0 and 1.
/// let lists = ListView::heads_first(&[0, -1, 0, 1], [1, 1, 2, 2])?;
/// # let _ = lists;
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ListView<'a> {
    ids: &'a [i32],
    /// `[batch, heads, rows, most]`.
    pub(super) shape: [usize; 4],
    /// Of batch, heads and rows.
    strides: [usize; 3],
    pub(super) granularity: Option<usize>,
}

impl<'a> ListView<'a> {
    /// Numbers in memory order `[batch, list heads, rows, most]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `ids` has another length.
    pub fn heads_first(ids: &'a [i32], shape: [usize; 4]) -> Result<Self> {
        let [_, heads, rows, most] = shape;
        let row = most;
        let head = rows.saturating_mul(row);
        Self::strided(ids, shape, shape, [heads.saturating_mul(head), head, row])
    }

    /// Numbers in memory order `[batch, rows, list heads, most]`, which is cuDNN's.
    ///
    /// # Errors
    /// [`Error::Shape`] if `ids` has another length.
    pub fn rows_first(ids: &'a [i32], shape: [usize; 4]) -> Result<Self> {
        let [batch, rows, heads, most] = shape;
        let head = most;
        let row = heads.saturating_mul(head);
        Self::strided(ids, shape, [batch, heads, rows, most], [rows.saturating_mul(row), head, row])
    }

    /// How many tokens a number stands for, where that is not the kernel's own `block.kv` but a multiple of it: block `i` of
    /// 128 tokens is blocks `2i` and `2i + 1` of a kernel whose blocks have 64.
    pub fn granularity(self, tokens: usize) -> Self {
        Self { granularity: Some(tokens), ..self }
    }

    fn strided(ids: &'a [i32], given: [usize; 4], shape: [usize; 4], strides: [usize; 3]) -> Result<Self> {
        let wanted = crate::memory::product(&given);
        if ids.len() != wanted {
            return Err(Error::Shape {
                arg: "ids",
                expected: format!("{wanted} numbers for shape {given:?}"),
                got: format!("{}", ids.len()),
            });
        }
        Ok(Self { ids, shape, strides, granularity: None })
    }

    /// The numbers of a list, with those that stand for none.
    pub(super) fn list(&self, at: [usize; 3]) -> &'a [i32] {
        let start: usize = at.iter().zip(self.strides).map(|(index, stride)| index * stride).sum();
        &self.ids[start..start + self.shape[3]]
    }

    /// Numbers of all lists that stand for a block.
    pub(super) fn listed(&self) -> usize {
        self.ids.iter().filter(|&&id| id != Self::NONE).count()
    }

    /// What stands for no block.
    pub(super) const NONE: i32 = -1;
}
