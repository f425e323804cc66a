//! The scorer `mean_pool`: the mean query of each row of blocks against the mean key of each block.

use super::Contract;
use crate::abi::build::{lay_out, number, numbers, read, strides, write};
use crate::abi::{Buffer, Expr, Kernel, KernelId, Macro, Scalar, Scratch, Size, Tensor, UnitId};
use crate::arch::HopperTiles;
use crate::pipeline::{Cx, Part};
use crate::{Arch, Key, Spec, Stride};

/// `mean_pool`: the mean query of each row of blocks against the mean key of each block, over the heads of a group and over all
/// tokens of a block. It is the block-sparse scorer of The Sparse Frontier (arXiv 2504.17768) and of MInference, and MoBA's
/// gate (arXiv 2502.13189) lifted from queries to rows of blocks; per group of heads instead of per head.
///
/// The score of row m and block j is `scale · q̄(m) · k̄(j)`, with the mean q̄(m) over the group's query heads and the row's
/// tokens, and the mean k̄(j) over the group's KV heads and the block's tokens. It is the logarithm of a weight: blocks share a
/// row as in the softmax of the scores over the blocks that the row sees.
///
/// It reads every query and key once, and multiplies means alone; a single token does not stand out of its block. Every token
/// counts, so `stride` has no effect. A block on the diagonal has the mean of all its keys, also of those that some queries of the row do not
/// see: it is always kept, and what it weighs matters to budgets that add up weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanPool;

kind! {
    Key::Scorer, MeanPool, "mean_pool", like "mean_pool";
    parts {}
    rules |mean_pool, spec| {}
}

const MEANS: &[&str] = &["arch/portable/tile.cuh", "scorer/mean_pool/means.cuh"];
const SCORE: &[&str] = &[
    "arch/portable/tile.cuh",
    "geometry/sequence.cuh",
    "geometry/diagonal.cuh",
    "select/rows.cuh",
    "scorer/maxima.cuh",
    "scorer/mean_pool/score.cuh",
];

/// Threads of a CTA that computes means; those beyond whole tokens are idle while it adds up.
const MEAN_THREADS: u32 = 256;
/// Rows of blocks of a tile.
const ROWS_TILE: u32 = 64;
/// Threads of a CTA that multiplies them, a warp for 16 rows.
const SCORE_THREADS: u32 = ROWS_TILE / 16 * 32;
/// Blocks of a tile: of wide heads as many as a thread's registers take, while the tile before is multiplied.
const fn blocks_tile(spec: &Spec) -> u32 {
    if spec.head_dim > 128 { 32 } else { 64 }
}
/// Bytes of means in shared memory, as two bf16 for each number.
const fn tile_bytes(spec: &Spec, vectors: u32) -> u32 {
    vectors * spec.head_dim * 4
}

impl Contract for MeanPool {
    /// A block is a sample.
    fn window(&self, spec: &Spec) -> Stride {
        Stride { q: spec.block.q, kv: spec.block.kv }
    }

    /// A mean has a product with every other, whatever its tokens see.
    fn scores_every_block(&self) -> bool {
        true
    }

    /// Its product is a thousandth of an attention's: one text serves both families.
    fn on_hopper(&self, _: &Spec, _: &HopperTiles) -> bool {
        false
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        use Scalar::{Blocks, HeadsPerGroup, KvHeadsPerGroup, KvLen, QLen, Rows};
        let constants = [
            ("MEAN_THREADS", MEAN_THREADS),
            ("MEAN_SCORE_THREADS", SCORE_THREADS),
            ("MEAN_ROWS_TILE", ROWS_TILE),
            ("MEAN_BLOCKS_TILE", blocks_tile(cx.spec)),
        ];
        let of_pool = format!("pool:      {MEAN_THREADS} sums of 8 floats");
        let of_score = format!(
            "score:     {} B of mean queries, and {} B of mean keys, each as two bf16",
            tile_bytes(cx.spec, ROWS_TILE),
            tile_bytes(cx.spec, blocks_tile(cx.spec))
        );
        Part {
            kernels: vec![
                pool(KernelId::PoolQueries, Tensor::Q, Scratch::MeanQ, [Rows, QLen, HeadsPerGroup]),
                pool(KernelId::PoolKeys, Tensor::K, Scratch::MeanK, [Blocks, KvLen, KvHeadsPerGroup]),
                score(cx),
            ],
            buffers: buffers(cx),
            shared: constants.map(|(name, value)| (name, value.to_string())).into(),
            memory: vec![(UnitId::Scoring, of_pool), (UnitId::Scoring, of_score)],
            ..Part::default()
        }
    }
}

fn buffers(cx: &Cx<'_>) -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Groups, Rows};
    let s = Size::Scalar;
    let head_dim = cx.size(Macro::HeadDim);
    let buffer = |scratch, dims, holds| Buffer { scratch, dims, holds };
    let of_row = vec![s(Batch), s(Groups), s(Rows)];
    vec![
        buffer(Scratch::MeanQ, [&of_row[..], &[head_dim]].concat(), "mean query of a row of blocks"),
        buffer(Scratch::MeanK, vec![s(Batch), s(Groups), s(Blocks), head_dim], "mean key of a block"),
        buffer(
            Scratch::Maxima,
            [&of_row[..], &[s(Blocks)]].concat(),
            "score of a (row, block): 64ths of log2 above the row's floor",
        ),
        buffer(Scratch::Floors, of_row.clone(), "score of code 0 of a row, base 2"),
        buffer(Scratch::Lse, of_row, "log2 of the sum over a row's blocks"),
    ]
}

/// A CTA to each of so many blocks of queries or keys; as many heads of these make a group.
fn pool(id: KernelId, of: Tensor, mean: Scratch, [blocks, tokens, heads]: [Scalar; 3]) -> Kernel {
    let mut fields = vec![read(of), write(mean)];
    fields.extend(strides(of));
    fields.extend(numbers([blocks, tokens, heads, Scalar::Groups]));
    Kernel {
        id,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: MEAN_THREADS,
        shared: number(MEAN_THREADS * 8 * 4),
        grid: [blocks.into(), Scalar::Groups.into(), Scalar::Batch.into()],
        pack: 1,
        bounds: "MEAN_THREADS",
        files: MEANS.into(),
    }
}

fn score(cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![
        read(Scratch::MeanQ),
        read(Scratch::MeanK),
        write(Scratch::Maxima),
        write(Scratch::Floors),
        write(Scratch::Lse),
    ];
    fields.extend(numbers([Scalar::QLen, Scalar::KvLen, Scalar::Rows, Scalar::Blocks, Scalar::Groups]));
    Kernel {
        id: KernelId::Score,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: SCORE_THREADS,
        shared: number(tile_bytes(cx.spec, ROWS_TILE + blocks_tile(cx.spec))),
        // Groups first: CTAs of the last rows, which have the most to do, begin side by side.
        grid: [Scalar::Groups.into(), Expr::from(Scalar::Rows).ceil_div(ROWS_TILE), Scalar::Batch.into()],
        pack: 1,
        bounds: "MEAN_SCORE_THREADS",
        files: SCORE.into(),
    }
}
