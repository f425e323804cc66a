//! What follows from a shape: rows, blocks, the diagonal and what is pinned.

use core::ops::Range;
use proxyattn_codegen::Spec;

/// A configuration on a shape.
#[derive(Clone, Debug)]
pub struct Grid {
    pub(crate) spec: Spec,
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) groups: usize,
    pub(crate) q_len: usize,
    pub(crate) kv_len: usize,
}

impl Grid {
    /// A configuration on `[batch, heads, kv_heads, q_len, kv_len]`.
    pub fn new(spec: &Spec, [batch, heads, kv_heads, q_len, kv_len]: [usize; 5]) -> Self {
        let groups = spec.groups.map_or(kv_heads, |groups| groups as usize);
        Self { spec: *spec, batch, heads, kv_heads, groups, q_len, kv_len }
    }

    /// Sequences.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Query heads of a sequence.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Groups of heads that share a ranking, in a sequence.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The KV head of a query head, among those of all sequences.
    pub(crate) fn kv_head(&self, batch: usize, head: usize) -> usize {
        batch * self.kv_heads + head / (self.heads / self.kv_heads)
    }

    /// The heads of each group, of which a sequence has `heads`.
    pub(crate) fn runs(&self, heads: usize) -> impl Iterator<Item = Range<usize>> {
        let size = heads / self.groups;
        (0..self.batch * self.groups).map(move |sequence| sequence * size..(sequence + 1) * size)
    }

    /// Rows of query blocks.
    pub fn rows(&self) -> usize {
        self.q_len.div_ceil(self.spec.block.q as usize)
    }

    /// Query tokens of a row.
    pub fn row_tokens(&self, row: usize) -> Range<usize> {
        let block = self.spec.block.q as usize;
        row * block..self.q_len.min((row + 1) * block)
    }

    /// The block of a key.
    pub(crate) fn block_of(&self, key: usize) -> usize {
        key / self.spec.block.kv as usize
    }

    /// Blocks of keys.
    pub fn blocks(&self) -> usize {
        self.block_of(self.kv_len - 1) + 1
    }

    /// The key that a query token stands at; none of more queries than keys.
    fn position(&self, token: usize) -> Option<usize> {
        (self.kv_len + token).checked_sub(self.q_len).filter(|_| self.q_len <= self.kv_len)
    }

    /// Keys that a query token sees: the first so many.
    pub fn keys_seen(&self, token: usize) -> usize {
        match self.spec.causal {
            true => self.position(token).expect("causal queries are the end of the keys") + 1,
            false => self.kv_len,
        }
    }

    /// Blocks that some token of the row sees: the first so many.
    pub fn visible(&self, row: usize) -> usize {
        self.row_tokens(row)
            .map(|t| self.block_of(self.keys_seen(t) - 1) + 1)
            .max()
            .expect("a row has tokens")
    }

    /// Whether a block is kept whatever its score.
    pub fn is_pinned(&self, row: usize, block: usize) -> bool {
        let own = || self.row_tokens(row).filter_map(|t| self.position(t)).map(|key| self.block_of(key));
        let local =
            own().min().is_some_and(|first| block < first && block + self.spec.keep.local as usize >= first);
        block < self.spec.keep.sink as usize || local || own().any(|b| b == block)
    }

    /// How many blocks of a row are kept whatever their score.
    pub(crate) fn pinned(&self, row: usize) -> usize {
        (0..self.visible(row)).filter(|&block| self.is_pinned(row, block)).count()
    }

    /// Query tokens that a budget is measured with: the last block of them, whatever their row.
    pub fn last_queries(&self) -> Range<usize> {
        self.q_len - self.q_len.min(self.spec.block.q as usize)..self.q_len
    }
}
