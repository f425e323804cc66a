//! The scorer `proxy`: mean queries and keys of the groups, and one pass of the ones over the others.

use super::{Cx, number, numbers, read, strides, write};
use crate::Arch;
use crate::abi::{
    Access, Expr, Field, Kernel, KernelId, Keys, Macro, Scalar, Scratch, Tensor, UnitId, lay_out,
};
use crate::cuda::constants::{POOL_THREADS, SCORING_THREADS, WG_ROWS};

pub(super) fn kernels(cx: &Cx<'_>) -> Vec<Kernel> {
    let mut kernels = vec![pool_queries(cx)];
    match cx.keys() {
        Keys::Pooled => kernels.push(pool_keys(cx)),
        Keys::Sampled => {}
    }
    kernels.push(match cx.native.score {
        Arch::Sm80 => score(cx),
        Arch::Sm90a => score_hopper(cx),
    });
    kernels
}

fn pool_queries(cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![read(Tensor::Q), write(Scratch::ProxyQ)];
    if cx.native.segments() {
        fields.push(Field::Pointer(Scratch::ScoreTickets.into(), Access::Clear));
    }
    fields.extend(strides(Tensor::Q));
    fields.extend(numbers([Scalar::QSamples, Scalar::Groups, Scalar::HeadsPerGroup]));
    pool(cx, KernelId::PoolQueries, fields, Scalar::QSamples)
}

fn pool_keys(cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![read(Tensor::K), write(Scratch::ProxyK)];
    fields.extend(strides(Tensor::K));
    fields.extend(numbers([Scalar::KvSamples, Scalar::Groups, Scalar::KvHeadsPerGroup]));
    pool(cx, KernelId::PoolKeys, fields, Scalar::KvSamples)
}

/// A thread has eight elements of a sample.
fn pool(cx: &Cx<'_>, id: KernelId, fields: Vec<Field>, samples: Scalar) -> Kernel {
    let chunks = Expr::from(samples) * cx.constant(Macro::HeadDim) / 8;
    Kernel {
        id,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: POOL_THREADS,
        shared: number(0),
        grid: [chunks.ceil_div(cx.constant(Macro::PoolThreads)), Scalar::Groups.into(), Scalar::Batch.into()],
        pack: 1,
        bounds: match cx.native.budget {
            Arch::Sm80 => "POOL_THREADS",
            // With 32 registers a thread, a CTA finds room beside one of the budget's, which runs meanwhile.
            Arch::Sm90a => "POOL_THREADS, 2048 / POOL_THREADS",
        },
    }
}

fn score(cx: &Cx<'_>) -> Kernel {
    let keys = Tensor::Keys(cx.keys());
    let mut fields = vec![
        read(Scratch::ProxyQ),
        read(keys),
        write(Scratch::Maxima),
        write(Scratch::Floors),
        write(Scratch::Lse),
    ];
    fields.extend(strides(keys));
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::QSamples,
        Scalar::KvSamples,
        Scalar::Rows,
        Scalar::Blocks,
        Scalar::Groups,
    ]));
    Kernel {
        id: KernelId::Score,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: SCORING_THREADS,
        shared: number(cx.tiles.ring_bytes(cx.spec)),
        grid: [
            Expr::from(Scalar::QSamples).ceil_div(cx.constant(Macro::ScoringRows)),
            Scalar::Groups.into(),
            Scalar::Batch.into(),
        ],
        pack: 1,
        // Two CTAs to an SM: for a third, the compiler would spill.
        bounds: "SCORING_THREADS, 2",
    }
}

fn score_hopper(cx: &Cx<'_>) -> Kernel {
    let hopper = &cx.tiles.hopper;
    let mut fields = vec![
        Field::Map(Tensor::ProxyQ, WG_ROWS),
        Field::Map(Tensor::Keys(cx.keys()), hopper.keys),
        write(Scratch::Maxima),
        write(Scratch::Floors),
        write(Scratch::Lse),
        Field::Pointer(Scratch::ScoreTickets.into(), Access::Count),
    ];
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::QSamples,
        Scalar::KvSamples,
        Scalar::Rows,
        Scalar::Blocks,
        Scalar::Batch,
        Scalar::Groups,
        Scalar::Segments,
        Scalar::SegmentKeys,
    ]));
    // It takes unit after unit.
    let rows = cx.constant(Macro::WgRows) * cx.constant(Macro::ScoreWarpgroups);
    let units =
        Expr::from(Scalar::QSamples).ceil_div(rows) * Scalar::Segments * Scalar::Groups * Scalar::Batch;
    Kernel {
        id: KernelId::Score,
        unit: UnitId::Score,
        arch: Arch::Sm90a,
        params: lay_out(fields),
        threads: hopper.score_threads(),
        shared: number(hopper.score_bytes(cx.spec)),
        grid: [Expr::Multiprocessors.min(units), number(1), number(1)],
        pack: 1,
        bounds: "CTA_THREADS, 1",
    }
}
