//! The buffers and kernels of `vertical_slash`.
//!
//! ```text
//! score_partials ─▶ score_sums ─▶ score_masses ─▶ score
//! ```

use super::VerticalSlash;
use crate::Arch;
use crate::abi::build::{lay_out, number, numbers, read, strides, write};
use crate::abi::{Buffer, Expr, Field, Kernel, KernelId, Scalar, Scratch, Size, Tensor, UnitId};
use crate::arch::portable::{SCORING_ROWS, SCORING_THREADS};
use crate::pipeline::{Cx, Define};

const PARTIALS: &[&str] = &[
    "arch/portable/tile.cuh",
    "geometry/sequence.cuh",
    "arch/portable/scoring.cuh",
    "arch/portable/running.cuh",
    "scorer/vertical_slash/partials.cuh",
];
const SUMS: &[&str] = &["scorer/vertical_slash/sums.cuh"];
const MASSES: &[&str] = &["scorer/vertical_slash/masses.cuh"];
const SCORE: &[&str] = &[
    "geometry/sequence.cuh",
    "geometry/diagonal.cuh",
    "select/rows.cuh",
    "scorer/maxima.cuh",
    "scorer/vertical_slash/score.cuh",
];

/// Threads of a CTA that adds up a head's queries: many loads are on their way at once.
const SUM_THREADS: u32 = 512;
/// Threads of a CTA whose warps have a block, or a row, each.
const WARPS_THREADS: u32 = 128;

/// Constants that the launch knows, too.
pub(super) fn constants() -> Vec<Define> {
    vec![("LAST_SUM_THREADS", SUM_THREADS.to_string()), ("LAST_WARPS_THREADS", WARPS_THREADS.to_string())]
}

pub(super) fn kernels(scorer: &VerticalSlash, cx: &Cx<'_>) -> Vec<Kernel> {
    vec![partials(scorer, cx), sums(scorer), masses(), score()]
}

pub(super) fn buffers(scorer: &VerticalSlash, cx: &Cx<'_>) -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Groups, Heads, Rows};
    let s = Size::Scalar;
    let last = Size::from(scorer.last);
    let buffer = |scratch, dims, holds| Buffer { scratch, dims, holds };
    let of_row = vec![s(Batch), s(Groups), s(Rows)];
    vec![
        buffer(
            Scratch::LastLogs,
            vec![s(Batch), s(Heads), s(Blocks), last],
            "log2 of what a last query's scores in a block sum to",
        ),
        buffer(Scratch::LastSums, vec![s(Batch), s(Heads), last], "log2 of the sum over a last query's keys"),
        buffer(
            Scratch::Verticals,
            vec![s(Batch), s(Groups), s(Blocks)],
            "log2 of the share of the last queries' attention",
        ),
        buffer(
            Scratch::Slashes,
            vec![s(Batch), s(Groups), scorer.rows(cx.spec).into(), s(Blocks)],
            "what those of one row add to the share of a diagonal, log2",
        ),
        buffer(
            Scratch::Maxima,
            [&of_row[..], &[s(Blocks)]].concat(),
            "score of a (row, block): 64ths of log2 above the row's floor",
        ),
        buffer(Scratch::Floors, of_row.clone(), "score of code 0 of a row, base 2"),
        buffer(Scratch::Lse, of_row, "log2 of the sum over a row's blocks"),
    ]
}

/// A kernel of the portable family, in the scoring unit.
fn kernel(id: KernelId, fields: Vec<Field>, threads: (u32, &'static str), grid: [Expr; 3]) -> Kernel {
    Kernel {
        id,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: threads.0,
        shared: number(0),
        grid,
        pack: 1,
        bounds: threads.1,
        files: vec![],
    }
}

/// A CTA has as many heads of a KV head as fill its rows, and a range of blocks.
fn partials(scorer: &VerticalSlash, cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![read(Tensor::Q), read(Tensor::K), write(Scratch::LastLogs)];
    fields.extend(strides(Tensor::Q).chain(strides(Tensor::K)));
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::Blocks,
        Scalar::Heads,
        Scalar::HeadsPerKv,
        Scalar::BlocksPerCta,
    ]));
    let packs = Expr::from(Scalar::HeadsPerKv).ceil_div(SCORING_ROWS / scorer.last);
    let grid = [
        packs * Expr::from(Scalar::Blocks).ceil_div(Scalar::BlocksPerCta),
        Scalar::KvHeads.into(),
        Scalar::Batch.into(),
    ];
    Kernel {
        shared: number(cx.tiles.ring_bytes(cx.spec)),
        files: PARTIALS.into(),
        // Two CTAs to an SM: for a third, the compiler would spill.
        ..kernel(KernelId::ScorePartials, fields, (SCORING_THREADS, "SCORING_THREADS, 2"), grid)
    }
}

/// A CTA has a head, and of its queries as many as a warp has lanes.
fn sums(scorer: &VerticalSlash) -> Kernel {
    let mut fields = vec![read(Scratch::LastLogs), write(Scratch::LastSums)];
    fields.extend(numbers([Scalar::Blocks, Scalar::Heads]));
    let grid = [number(scorer.last / 32), Scalar::Heads.into(), Scalar::Batch.into()];
    Kernel {
        shared: number(SUM_THREADS * 2 * 4),
        files: SUMS.into(),
        ..kernel(KernelId::ScoreSums, fields, (SUM_THREADS, "LAST_SUM_THREADS"), grid)
    }
}

/// A warp has a block of a group.
fn masses() -> Kernel {
    let mut fields = vec![
        read(Scratch::LastLogs),
        read(Scratch::LastSums),
        write(Scratch::Verticals),
        write(Scratch::Slashes),
    ];
    fields.extend(numbers([Scalar::QLen, Scalar::Blocks, Scalar::Groups, Scalar::HeadsPerGroup]));
    let warps = Expr::from(Scalar::Blocks).ceil_div(WARPS_THREADS / 32);
    let grid = [warps, Scalar::Groups.into(), Scalar::Batch.into()];
    Kernel {
        files: MASSES.into(),
        ..kernel(KernelId::ScoreMasses, fields, (WARPS_THREADS, "LAST_WARPS_THREADS"), grid)
    }
}

/// A warp has a row of a group.
fn score() -> Kernel {
    let mut fields = vec![
        read(Scratch::Verticals),
        read(Scratch::Slashes),
        write(Scratch::Maxima),
        write(Scratch::Floors),
        write(Scratch::Lse),
    ];
    fields.extend(numbers([Scalar::QLen, Scalar::KvLen, Scalar::Rows, Scalar::Blocks, Scalar::Groups]));
    // Groups first: warps of the last rows, which have the most to do, begin side by side.
    let rows = Expr::from(Scalar::Rows).ceil_div(WARPS_THREADS / 32);
    let grid = [Scalar::Groups.into(), rows, Scalar::Batch.into()];
    Kernel {
        files: SCORE.into(),
        ..kernel(KernelId::Score, fields, (WARPS_THREADS, "LAST_WARPS_THREADS"), grid)
    }
}
