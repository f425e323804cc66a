//! The scorer `vertical_slash`: what the last queries' attention gives to columns of blocks and to diagonals of blocks.

mod kernels;
mod syntax;

use super::Contract;
use crate::abi::UnitId;
use crate::arch::{HopperTiles, portable};
use crate::pipeline::{Cx, Part};
use crate::{Spec, Stride};

/// `vertical_slash(last = 64)`: a block's weight is the larger of two shares of the attention of the call's last queries, that
/// of its column and that of its diagonal (MInference, arXiv 2407.02490; `FlexPrefill`, arXiv 2502.20766), lifted from tokens to
/// blocks and from heads to groups.
///
/// With the softmax p(t, s) of query t over all keys s that it sees, T the last `min(last, q_len)` queries, and means over the
/// query heads of a group:
///
/// ```text
/// vertical(j)  = mean over t in T               of  Σ p(t, s) over the keys s of block j
/// slash(m, j)  = mean over t in T that stand    of  Σ p(t, s) over the keys s of the block as far from t's row
///                in blocks as row m's queries do      as block j is from row m
/// score(m, j)  = log max(vertical(j), slash(m, j))
/// ```
///
/// Both are estimates of one number, the share of row m's attention that block j holds: the first is right where attention
/// depends on the key alone, the second where it depends on the distance alone. The slash is right for every row and not only
/// for the last one: a diagonal of tokens that is no multiple of the block away runs through two blocks of each row, in the same
/// parts in each, and the last queries, which stand at every place of a block equally often, see both parts. So `last` is a
/// multiple of the block. Of queries and keys in blocks of one size, all of T count in every slash.
///
/// The papers visit the union of the best columns and the best diagonals. With the larger of the two, the first blocks of a row's
/// ranking are such a union, of all columns and diagonals above one threshold, whatever the count is; budgets that add up weights
/// count a block once that is in both. Tokens that the papers keep whatever they weigh, the first ones and the nearest, are
/// those of `keep(sink, local)`. A column of a few tokens is visited as a block.
///
/// `stride` has no effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VerticalSlash {
    /// Queries whose attention is looked at: the last of the call.
    pub last: u32,
}

impl VerticalSlash {
    /// `scorer = vertical_slash` without any part: `MInference`'s number of queries.
    pub const DEFAULT: VerticalSlash = VerticalSlash { last: 64 };

    /// Rows that the last queries may be of: one more than they fill, where the last row is not full.
    const fn rows(&self, spec: &Spec) -> u32 {
        self.last / spec.block.q + 1
    }
}

impl Contract for VerticalSlash {
    /// A block is a sample.
    fn window(&self, spec: &Spec) -> Stride {
        Stride { q: spec.block.q, kv: spec.block.kv }
    }

    /// The last query sees all keys, and gives each something.
    fn scores_every_block(&self) -> bool {
        true
    }

    /// Its pass over the keys is short, and bound by exponentials as much as by products: one text serves both families.
    fn on_hopper(&self, _: &Spec, _: &HopperTiles) -> bool {
        false
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        Part {
            kernels: kernels::kernels(self, cx),
            buffers: kernels::buffers(self, cx),
            defines: vec![
                ("LAST_QUERIES", self.last.to_string()),
                ("LAST_ROWS", self.rows(cx.spec).to_string()),
            ],
            // Rows that lie in blocks of keys differently from each other.
            sections: vec![("ROWS_APART", cx.spec.block.q < cx.spec.block.kv)],
            shared: kernels::constants(),
            memory: vec![
                (UnitId::Scoring, portable::scoring_memory(cx)),
                (UnitId::Scoring, "sums:      two floats a thread".into()),
            ],
            ..Part::default()
        }
    }
}
