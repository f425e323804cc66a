//! The budget `dynamic`: the last queries of each head over all keys, and how many blocks hold their mass.

use super::{Cx, number, numbers, read, strides, write};
use crate::Arch;
use crate::abi::{Expr, Field, Kernel, KernelId, Macro, Scalar, Scratch, Tensor, UnitId, lay_out};
use crate::cuda::constants::{COUNT_THREADS, SCORING_THREADS, WG_ROWS, count_words};

pub(super) fn dynamic(cx: &Cx<'_>) -> [Kernel; 2] {
    match cx.native.budget {
        Arch::Sm80 => [partials(cx), counts(cx, UnitId::Scoring)],
        Arch::Sm90a => [partials_hopper(cx), counts(cx, UnitId::Budget)],
    }
}

fn partials(cx: &Cx<'_>) -> Kernel {
    let mut fields =
        vec![read(Tensor::Q), read(Tensor::K), write(Scratch::PartialMax), write(Scratch::PartialSum)];
    fields.extend(strides(Tensor::Q).chain(strides(Tensor::K)));
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::Blocks,
        Scalar::Heads,
        Scalar::HeadsPerKv,
        Scalar::BlocksPerCta,
    ]));
    let packs = (Expr::from(Scalar::HeadsPerKv) * cx.constant(Macro::BlockQ))
        .ceil_div(cx.constant(Macro::ScoringRows));
    Kernel {
        id: KernelId::BudgetPartials,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: SCORING_THREADS,
        shared: number(cx.tiles.ring_bytes(cx.spec)),
        grid: [
            packs * Expr::from(Scalar::Blocks).ceil_div(Scalar::BlocksPerCta),
            Scalar::KvHeads.into(),
            Scalar::Batch.into(),
        ],
        pack: 1,
        // Two CTAs to an SM: for a third, the compiler would spill.
        bounds: "SCORING_THREADS, 2",
    }
}

fn partials_hopper(cx: &Cx<'_>) -> Kernel {
    let hopper = &cx.tiles.hopper;
    let mut fields = vec![
        Field::Map(Tensor::Q, WG_ROWS),
        Field::Map(Tensor::K, hopper.keys),
        write(Scratch::PartialMax),
        write(Scratch::PartialSum),
    ];
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::Blocks,
        Scalar::Batch,
        Scalar::KvHeads,
        Scalar::HeadsPerKv,
    ]));
    // It takes stage after stage, for each pack of heads by itself.
    let rows = cx.constant(Macro::WgRows) * cx.constant(Macro::ScoreWarpgroups);
    let packs = (Expr::from(Scalar::HeadsPerKv) * cx.constant(Macro::BlockQ)).ceil_div(rows);
    let packs = Expr::Named("packs", Box::new(packs));
    let stages = Expr::from(Scalar::KvLen).ceil_div(cx.constant(Macro::StageKeys));
    Kernel {
        id: KernelId::BudgetPartials,
        unit: UnitId::Budget,
        arch: Arch::Sm90a,
        params: lay_out(fields),
        threads: hopper.score_threads(),
        shared: number(hopper.score_bytes(cx.spec)),
        grid: [
            (Expr::Multiprocessors / packs.clone()).min(stages * Scalar::KvHeads * Scalar::Batch),
            packs,
            number(1),
        ],
        pack: 1,
        bounds: "CTA_THREADS, 1",
    }
}

fn counts(cx: &Cx<'_>, unit: UnitId) -> Kernel {
    let mut fields = vec![read(Scratch::PartialMax), read(Scratch::PartialSum), write(Scratch::Measured)];
    fields.extend(numbers([Scalar::QLen, Scalar::Blocks, Scalar::Heads]));
    Kernel {
        id: KernelId::BudgetCounts,
        unit,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: COUNT_THREADS,
        shared: number(count_words(cx.spec).bytes()) + number(4) * Scalar::Blocks,
        grid: [Scalar::Heads.into(), Scalar::Batch.into(), number(1)],
        pack: 1,
        // One CTA is enough: left to itself, the compiler spills a few bytes to fit one more.
        bounds: "COUNT_THREADS, 1",
    }
}
