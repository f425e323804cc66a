//! The scorer `nearest`: how near a block is to the row's own one.

use super::Contract;
use crate::abi::build::{lay_out, number, numbers, write};
use crate::abi::{Buffer, Expr, Kernel, KernelId, Scalar, Scratch, Size, UnitId};
use crate::arch::HopperTiles;
use crate::pipeline::{Cx, Part};
use crate::{Arch, Key, Spec, Stride};

/// `nearest`: how near a block is to the row's own one. It reads no input.
///
/// The score of row m and block j is `−d(m, j) / 64` in log2, with the distance d in blocks of keys from the block that has the
/// key position of the row's last query. So a ranking is what is always kept, and then backwards from the diagonal: with
/// `keep(sink = 1)`, the first k blocks of it are `StreamingLLM`'s sink and window (arXiv 2309.17453), and a band of `MoA`
/// (arXiv 2406.14909). Of lists of a fixed length it is the one that costs nothing to choose.
///
/// Without a causal mask distances count to both sides, and the block before comes before the one as far behind. Of more
/// queries than keys, which have no positions, query i counts as at key i, and those past the last key as there.
///
/// A 64th is one step of the scores as kernels store them, so no two distances share one. A weight halves every 64 blocks, which
/// matters to budgets that add up weights. Blocks more than 62,848 away, 4 million tokens in blocks of 64, are as far as each
/// other. `stride` has no effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest;

kind! {
    Key::Scorer, Nearest, "nearest", like "nearest";
    parts {}
    rules |nearest, spec| {}
}

const SCORE: &[&str] = &[
    "arch/portable/tile.cuh",
    "geometry/sequence.cuh",
    "geometry/diagonal.cuh",
    "select/rows.cuh",
    "scorer/maxima.cuh",
    "scorer/nearest/score.cuh",
];

/// Threads of a CTA, whose warps have a row each.
const THREADS: u32 = 128;

impl Contract for Nearest {
    /// A block is a sample.
    fn window(&self, spec: &Spec) -> Stride {
        Stride { q: spec.block.q, kv: spec.block.kv }
    }

    /// Every block has a distance.
    fn scores_every_block(&self) -> bool {
        true
    }

    /// It has no pass over the keys.
    fn on_hopper(&self, _: &Spec, _: &HopperTiles) -> bool {
        false
    }

    fn part(&self, _: &Cx<'_>) -> Part {
        Part {
            kernels: vec![score()],
            buffers: buffers(),
            shared: vec![("NEAREST_THREADS", THREADS.to_string())],
            ..Part::default()
        }
    }
}

fn buffers() -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Groups, Rows};
    let s = Size::Scalar;
    let buffer = |scratch, dims, holds| Buffer { scratch, dims, holds };
    let of_row = vec![s(Batch), s(Groups), s(Rows)];
    vec![
        buffer(
            Scratch::Maxima,
            [&of_row[..], &[s(Blocks)]].concat(),
            "score of a (row, block): 64ths of log2 above the row's floor",
        ),
        buffer(Scratch::Floors, of_row.clone(), "score of code 0 of a row, base 2"),
        buffer(Scratch::Lse, of_row, "log2 of the sum over a row's blocks"),
    ]
}

/// A warp has a row of a group.
fn score() -> Kernel {
    let mut fields = vec![write(Scratch::Maxima), write(Scratch::Floors), write(Scratch::Lse)];
    fields.extend(numbers([Scalar::QLen, Scalar::KvLen, Scalar::Rows, Scalar::Blocks, Scalar::Groups]));
    // Groups first: warps of the last rows, which have the most to do, begin side by side.
    let rows = Expr::from(Scalar::Rows).ceil_div(THREADS / 32);
    Kernel {
        id: KernelId::Score,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: THREADS,
        shared: number(0),
        grid: [Scalar::Groups.into(), rows, Scalar::Batch.into()],
        pack: 1,
        bounds: "NEAREST_THREADS",
        files: SCORE.into(),
    }
}
