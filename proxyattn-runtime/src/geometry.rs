//! The block geometry of a problem: which rows see which key blocks, and which blocks are always kept.

use crate::Problem;
use core::ops::Range;
use proxyattn_codegen::{Budget, RowView, Spec, Stride};

/// The block geometry of a [`Problem`] under a [`Spec`].
///
/// A *row* is a block of `block.q` query tokens; a *block* is `block.kv` key tokens. Query token `t` is at key position
/// `offset + t`, where `offset = kv_len − q_len`: a chunk of queries is the end of its context.
///
/// Without a causal mask there may be more queries than keys. Queries and keys are then two sequences, as in
/// cross-attention, and queries have no key position. So rows have neither a diagonal nor local blocks, and only the sinks
/// are pinned. A count is at least 1 even if no block is pinned, because every budget asks for a block.
///
/// ```
/// use proxyattn::codegen::Spec;
/// use proxyattn::{Plan, Problem};
///
/// // 200 tokens in blocks of 64: four rows, the last of 8 tokens.
/// let problem = Problem { batch: 1, heads: 1, kv_heads: 1, q_len: 200, kv_len: 200 };
/// let geometry = Plan::new(&Spec::DEFAULT, &problem)?.geometry();
/// assert_eq!((geometry.rows(), geometry.blocks(), geometry.tokens(3)), (4, 4, 192..200));
/// assert_eq!((geometry.visible(1), geometry.visible_tiles()), (2, 1 + 2 + 3 + 4));
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    q_len: usize,
    kv_len: usize,
    block_q: usize,
    block_kv: usize,
    sink: usize,
    local: usize,
    causal: bool,
}

impl Geometry {
    pub(crate) fn new(spec: &Spec, problem: &Problem) -> Self {
        Self {
            q_len: problem.q_len,
            kv_len: problem.kv_len,
            block_q: spec.block.q as usize,
            block_kv: spec.block.kv as usize,
            sink: spec.keep.sink as usize,
            local: spec.keep.local as usize,
            causal: spec.causal,
        }
    }

    /// Number of block rows along the queries.
    pub fn rows(&self) -> usize {
        self.q_len.div_ceil(self.block_q)
    }

    /// Number of blocks along the keys.
    pub fn blocks(&self) -> usize {
        self.kv_len.div_ceil(self.block_kv)
    }

    /// The key position of query token 0; 0 if there are more queries than keys.
    pub fn offset(&self) -> usize {
        self.kv_len.saturating_sub(self.q_len)
    }

    /// The key position of a query token.
    pub fn position(&self, token: usize) -> usize {
        self.offset() + token
    }

    /// How many keys a query token sees, from the first on.
    pub fn seen(&self, token: usize) -> usize {
        if self.causal { (self.position(token) + 1).min(self.kv_len) } else { self.kv_len }
    }

    /// How many samples of the keys, the first of each window of `window.kv`, a sample of the queries sees.
    pub(crate) fn seen_samples(&self, window: Stride, sample: usize) -> usize {
        self.seen(sample * window.q as usize).div_ceil(window.kv as usize)
    }

    /// The query tokens of a row.
    pub fn tokens(&self, row: usize) -> Range<usize> {
        let start = row * self.block_q;
        start..(start + self.block_q).min(self.q_len)
    }

    /// The key tokens of a block.
    pub fn keys(&self, block: usize) -> Range<usize> {
        let start = block * self.block_kv;
        start..(start + self.block_kv).min(self.kv_len)
    }

    /// The number of blocks, counted from the first, that contain a key visible to some token of the row.
    pub fn visible(&self, row: usize) -> usize {
        if self.causal { self.diagonal(row).end } else { self.blocks() }
    }

    /// The blocks at the row's own positions: more than one if `block.q` exceeds `block.kv` or the offset is not a multiple
    /// of the block size; none if there are more queries than keys.
    pub fn diagonal(&self, row: usize) -> Range<usize> {
        if self.q_len > self.kv_len {
            return 0..0;
        }
        let Range { start, end } = self.tokens(row);
        let first = self.position(start) / self.block_kv;
        let last = self.position(end - 1) / self.block_kv;
        first..last + 1
    }

    /// The blocks of a row that attention masks token by token, and that kernels therefore find in every list: those of the
    /// diagonal under the causal rule.
    pub(crate) fn masked(&self, row: usize) -> Range<usize> {
        if self.causal { self.diagonal(row) } else { 0..0 }
    }

    /// Whether the rows of another geometry see the same blocks; what they keep may differ.
    pub(crate) fn same_blocks(&self, other: &Self) -> bool {
        Self { sink: other.sink, local: other.local, ..*self } == *other
    }

    /// Its blocks, for a message.
    pub(crate) fn blocks_text(&self) -> String {
        let rule = if self.causal { "causal" } else { "not causal" };
        format!("blocks of {} queries and {} keys, {rule}", self.block_q, self.block_kv)
    }

    /// Whether a visible block is kept regardless of score: a sink, local to the row, or on its diagonal.
    pub fn is_pinned(&self, row: usize, block: usize) -> bool {
        self.pins(row)(block)
    }

    /// [`is_pinned`](Self::is_pinned) for the blocks of one row.
    pub(crate) fn pins(&self, row: usize) -> impl Fn(usize) -> bool + use<> {
        let (sink, diagonal) = (self.sink, self.diagonal(row));
        let local = diagonal.start.saturating_sub(self.local)..diagonal.end;
        move |block| block < sink || local.contains(&block)
    }

    /// The number of the row's visible blocks that are pinned.
    pub fn pinned(&self, row: usize) -> usize {
        let visible = self.visible(row);
        let sink = self.sink.min(visible);
        let diagonal = self.diagonal(row);
        let local = diagonal.start.saturating_sub(self.local).max(sink);
        sink + diagonal.end.saturating_sub(local)
    }

    /// Whether a key of `block` comes after some query of `row`, so that the causal mask must be applied token by token.
    pub fn needs_mask(&self, row: usize, block: usize) -> bool {
        self.causal && self.keys(block).end > self.seen(self.tokens(row).start)
    }

    /// The number of tiles (row, block) that dense attention visits, for one head.
    pub fn visible_tiles(&self) -> u64 {
        (0..self.rows()).map(|row| self.visible(row) as u64).sum()
    }

    /// The number of blocks that a head visits in a row under a budget. `measured` is the count that a budget which
    /// [measures](Budget::measures) has found for the head and row; the other kinds ignore it.
    ///
    /// At least the pinned blocks, at most the visible ones.
    pub fn count(&self, budget: &Budget, measured: usize, row: usize) -> usize {
        let visible = self.visible(row);
        let view = RowView {
            visible: visible as u64,
            last_visible: self.visible(self.rows() - 1) as u64,
            block_kv: self.block_kv as u32,
        };
        // At most `visible`, which is a `usize`.
        let wanted = budget.wanted(view, measured as u64).min(visible as u64) as usize;
        wanted.max(self.pinned(row)).min(visible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxyattn_codegen::{Block, Dynamic, Keep, Rows};

    fn geometry(spec: &Spec, q_len: usize, kv_len: usize) -> Geometry {
        Geometry::new(spec, &Problem { batch: 1, heads: 1, kv_heads: 1, q_len, kv_len })
    }

    #[test]
    fn an_aligned_causal_problem() {
        let g = geometry(&Spec::DEFAULT, 200, 200);
        assert_eq!((g.rows(), g.blocks(), g.offset()), (4, 4, 0));
        assert_eq!((0..4).map(|m| g.visible(m)).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(g.visible_tiles(), 10);
        assert_eq!(g.tokens(3), 192..200);
        assert_eq!((0..4).map(|m| g.pinned(m)).collect::<Vec<_>>(), [1, 2, 2, 2]);
        assert!(g.needs_mask(2, 2) && !g.needs_mask(2, 1));
    }

    #[test]
    fn an_unaligned_chunk_has_two_diagonal_blocks() {
        let g = geometry(&Spec::DEFAULT, 128, 228); // queries stand at keys 100..228
        assert_eq!(g.diagonal(0), 1..3);
        assert_eq!(g.diagonal(1), 2..4);
        assert_eq!((g.visible(0), g.visible(1)), (3, 4));
        assert!(g.needs_mask(0, 1) && g.needs_mask(0, 2) && !g.needs_mask(0, 0));
    }

    #[test]
    fn pinned_counts_what_is_pinned() {
        for (sink, local, causal) in [(0, 0, true), (1, 0, true), (3, 2, true), (2, 1, false), (9, 9, true)] {
            for (q, kv) in [(32, 128), (64, 64), (128, 32)] {
                let spec =
                    Spec { block: Block { q, kv }, keep: Keep { sink, local }, causal, ..Spec::DEFAULT };
                for (q_len, kv_len) in [(1, 1), (300, 300), (129, 1000), (64, 77)] {
                    let g = geometry(&spec, q_len, kv_len);
                    for row in 0..g.rows() {
                        let counted = (0..g.visible(row)).filter(|&j| g.is_pinned(row, j)).count();
                        assert_eq!(g.pinned(row), counted, "{spec:?} {q_len}/{kv_len} row {row}");
                    }
                }
            }
        }
    }

    #[test]
    fn more_queries_than_keys_have_no_diagonal() {
        let keep = Keep { sink: 2, local: 3 };
        let g = geometry(&Spec { causal: false, keep, ..Spec::DEFAULT }, 1000, 330);
        assert_eq!((g.rows(), g.blocks(), g.offset()), (16, 6, 0));
        for row in 0..16 {
            assert_eq!((g.visible(row), g.diagonal(row), g.pinned(row)), (6, 0..0, 2));
            assert_eq!((0..6).filter(|&block| g.is_pinned(row, block)).collect::<Vec<_>>(), [0, 1]);
            assert!(!g.needs_mask(row, 5));
        }
        let bare =
            geometry(&Spec { causal: false, keep: Keep { sink: 0, local: 1 }, ..Spec::DEFAULT }, 65, 64);
        assert_eq!(bare.pinned(1), 0);
        for budget in [Budget::top_k(1), Budget::ratio(1e-6), Spec::DEFAULT.budget] {
            assert_eq!(bare.count(&budget, 0, 1), 1, "{budget}: a query always has keys");
        }
        // As many as there are keys: the diagonal is there.
        let square = geometry(&Spec { causal: false, ..Spec::DEFAULT }, 330, 330);
        assert_eq!((square.diagonal(3), square.pinned(3)), (3..4, 2));
    }

    #[test]
    fn a_share_is_rounded_up_once() {
        let block = Block { q: 32, kv: 32 };
        let g = geometry(&Spec { block, ..Spec::DEFAULT }, 32, 3200);
        assert_eq!(g.visible(0), 100);
        for n in 2..=100 {
            let share = f64::from(n) / 100.0;
            assert_eq!(g.count(&Budget::ratio(share), 0, 0), n as usize, "{share} of 100 blocks");
        }
    }

    #[test]
    fn counts_follow_the_budget() {
        let g = geometry(&Spec::DEFAULT, 6400, 6400); // 100 rows
        let count = |budget, measured, row| g.count(&budget, measured, row);
        assert_eq!(count(Budget::All, 0, 49), 50);
        assert_eq!(count(Budget::top_k(7), 0, 49), 7);
        assert_eq!(count(Budget::top_k(7), 0, 3), 4);
        assert_eq!(count(Budget::ratio(0.1), 0, 49), 5);
        assert_eq!(count(Budget::ratio(0.001), 0, 49), 2, "sink and diagonal");
        let dynamic =
            |rows| Budget::Dynamic(Dynamic { gamma: 0.9, min_tokens: 512, rows, ..Dynamic::DEFAULT });
        assert_eq!(count(dynamic(Rows::Ratio), 30, 49), 15);
        assert_eq!(count(dynamic(Rows::Ratio), 3, 49), 8, "512 tokens are 8 blocks");
        assert_eq!(count(dynamic(Rows::Absolute), 30, 49), 30);
        assert_eq!(count(dynamic(Rows::Absolute), 30, 20), 21);
    }
}
