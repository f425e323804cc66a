//! The kernels of `antidiagonal`, and what they share.

use super::{Antidiagonal, WG_SAMPLES};
use crate::abi::build::{clear, count, lay_out, number, numbers, read, strides, write};
use crate::abi::{Axis, Buffer, Expr, Field, Kernel, KernelId, Macro, Scalar, Scratch, Size, Tensor, UnitId};
use crate::arch::hopper::{BARRIER_BYTES, WG_THREADS};
use crate::arch::portable::{POOL_THREADS, SCORING_ROWS, SCORING_THREADS};
use crate::pipeline::{Cx, Define};
use crate::{Arch, Spec};

const POOL: &[&str] = &["arch/portable/tile.cuh", "scorer/mean.cuh", "scorer/antidiagonal/pool.cuh"];
const SCORE: &[&str] = &[
    "arch/portable/tile.cuh",
    "geometry/sequence.cuh",
    "geometry/samples.cuh",
    "scorer/maxima.cuh",
    "scorer/antidiagonal/take.cuh",
    "arch/portable/scoring.cuh",
    "scorer/antidiagonal/score.cuh",
];
const SCORE_HOPPER: &[&str] = &[
    "arch/hopper/cta.cuh",
    "geometry/sequence.cuh",
    "geometry/samples.cuh",
    "scorer/maxima.cuh",
    "scorer/antidiagonal/take.cuh",
    "scorer/antidiagonal/score.hopper.cuh",
];

/// Shared memory of a CTA that every GPU from Ampere on has.
const PORTABLE_BYTES: u32 = 99 * 1024;
/// Strided keys of a tile of the portable kernel.
const PORTABLE_KEYS: u32 = 64;
/// Strided keys of a tile of the Hopper kernel.
const HOPPER_KEYS: u32 = 128;
/// Consumers of the Hopper kernel.
const WARPGROUPS: u32 = 2;
/// Stages of the Hopper kernel, each with 64 elements of all rows of a tile.
const HOPPER_STAGES: u32 = 4;

/// Bytes of a stage of the portable kernel: a part of the rows of a tile.
fn portable_stage(spec: &Spec) -> u32 {
    (SCORING_ROWS + PORTABLE_KEYS) * spec.head_dim * 2
}

/// Stages of the portable kernel: one of the widest rows, and no more than hide a copy.
pub(super) fn portable_stages(spec: &Spec) -> u32 {
    (PORTABLE_BYTES / portable_stage(spec)).clamp(1, 3)
}

/// Bytes of a stage of the Hopper kernel.
const HOPPER_STAGE: u32 = (WARPGROUPS * WG_SAMPLES + HOPPER_KEYS) * Field::BOX_COLUMNS * 2;

pub(super) fn portable_memory(cx: &Cx<'_>) -> String {
    let (stages, bytes) = (portable_stages(cx.spec), portable_stage(cx.spec));
    format!("score:     {stages} × {bytes} B of a part of queries and of keys")
}

pub(super) fn hopper_memory() -> String {
    format!(
        "barriers and descriptions of work in {BARRIER_BYTES} B; {HOPPER_STAGES} stages of {HOPPER_STAGE} B queries and keys"
    )
}

/// Constants that the launch knows, too.
pub(super) fn constants(cx: &Cx<'_>) -> Vec<Define> {
    let (keys, stages) = match cx.native.score {
        Arch::Sm80 => (PORTABLE_KEYS, portable_stages(cx.spec)),
        Arch::Sm90a => (HOPPER_KEYS, HOPPER_STAGES),
    };
    let numbers = [("POOL_THREADS", POOL_THREADS), ("STRIDED_KEYS", keys), ("STRIDED_STAGES", stages)];
    numbers.map(|(name, value)| (name, value.to_string())).into()
}

pub(super) fn buffers(antidiagonal: &Antidiagonal, cx: &Cx<'_>) -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Groups, KvSamples, QSamples, Rows, Segments};
    let s = Size::Scalar;
    let [head_dim, samples_q] = [Macro::HeadDim, Macro::SamplesQ].map(|m| cx.size(m));
    let parts = Size::from(antidiagonal.stride);
    let buffer = |scratch, dims, holds| Buffer { scratch, dims, holds };
    let sum = match cx.segments() {
        true => vec![s(Batch), s(Groups), s(Rows), s(Segments), samples_q],
        false => vec![s(Batch), s(Groups), s(Rows), samples_q],
    };
    let mut buffers = vec![buffer(
        Scratch::StridedQ,
        vec![s(Batch), s(Groups), parts, s(QSamples), head_dim],
        "mean query of a group, by its place in its window",
    )];
    if pools_keys(cx) {
        buffers.push(buffer(
            Scratch::StridedK,
            vec![s(Batch), s(Groups), parts, s(KvSamples), head_dim],
            "mean key of a group, by its place in its window",
        ));
    }
    buffers.extend([
        buffer(
            Scratch::Maxima,
            vec![s(Batch), s(Groups), s(Rows), s(Blocks), samples_q],
            "log2 of the sum over the keys of a (sample, block): in 64ths, above the sample's floor",
        ),
        buffer(Scratch::Floors, sum.clone(), "score of code 0 of a sample, base 2"),
        buffer(Scratch::Lse, sum, "log2 of the sum over a sample's keys"),
    ]);
    if cx.segments() {
        buffers.push(buffer(Scratch::ScoreTickets, vec![], "units of score that are taken"));
    }
    buffers
}

/// Whether a group has several KV heads, of which it takes the means.
pub(super) fn pools_keys(cx: &Cx<'_>) -> bool {
    cx.spec.groups.is_some() && cx.spec.groups != cx.spec.kv_heads
}

pub(super) fn kernels(cx: &Cx<'_>) -> Vec<Kernel> {
    use Scalar::{HeadsPerGroup, KvHeadsPerGroup, KvLen, KvSamples, QLen, QSamples};
    let mut kernels =
        vec![pool(cx, KernelId::PoolQueries, [Tensor::Q, Tensor::StridedQ], [QLen, QSamples, HeadsPerGroup])];
    if pools_keys(cx) {
        let (keys, numbers) = ([Tensor::K, Tensor::StridedK], [KvLen, KvSamples, KvHeadsPerGroup]);
        kernels.push(pool(cx, KernelId::PoolKeys, keys, numbers));
    }
    kernels.push(match cx.native.score {
        Arch::Sm80 => score(cx),
        Arch::Sm90a => score_hopper(cx),
    });
    kernels
}

/// A thread has eight elements of a token.
fn pool(
    cx: &Cx<'_>,
    id: KernelId,
    [of, parts]: [Tensor; 2],
    [tokens, samples, heads]: [Scalar; 3],
) -> Kernel {
    let mut fields = vec![read(of), write(parts)];
    if cx.segments() && id == KernelId::PoolQueries {
        fields.push(clear(Scratch::ScoreTickets));
    }
    fields.extend(strides(of));
    fields.extend(numbers([tokens, samples, heads, Scalar::Groups]));
    let window = cx.spec.sample_window().q;
    let chunks = Expr::from(samples) * number(window) * cx.constant(Macro::HeadDim) / 8;
    Kernel {
        id,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: POOL_THREADS,
        shared: number(0),
        grid: [chunks.ceil_div(cx.constant(Macro::PoolThreads)), Scalar::Groups.into(), Scalar::Batch.into()],
        pack: 1,
        bounds: "POOL_THREADS",
        files: POOL.into(),
    }
}

/// What both families' passes write, and know of the shape.
fn left() -> [Field; 3] {
    [write(Scratch::Maxima), write(Scratch::Floors), write(Scratch::Lse)]
}

fn score(cx: &Cx<'_>) -> Kernel {
    use Scalar::{Blocks, Groups, KvLen, KvSamples, QLen, QSamples, Rows};
    let mut fields = vec![read(Scratch::StridedQ)];
    match pools_keys(cx) {
        true => fields.push(read(Scratch::StridedK)),
        false => fields.extend([read(Tensor::K)].into_iter().chain(strides(Tensor::K))),
    }
    fields.extend(left());
    fields.extend(numbers([QLen, KvLen, QSamples, KvSamples, Rows, Blocks, Groups]));
    Kernel {
        id: KernelId::Score,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: SCORING_THREADS,
        shared: number(portable_stages(cx.spec) * portable_stage(cx.spec)),
        grid: [
            Expr::from(QSamples).ceil_div(cx.constant(Macro::ScoringRows)),
            Groups.into(),
            Scalar::Batch.into(),
        ],
        pack: 1,
        bounds: "SCORING_THREADS",
        files: SCORE.into(),
    }
}

fn score_hopper(cx: &Cx<'_>) -> Kernel {
    use Scalar::{Batch, Blocks, Groups, KvLen, KvSamples, QLen, QSamples, Rows, SegmentKeys, Segments};
    let rows = WARPGROUPS * WG_SAMPLES;
    let mut fields = vec![Field::Map(Tensor::StridedQ, rows)];
    match pools_keys(cx) {
        true => fields.push(Field::Map(Tensor::StridedK, HOPPER_KEYS)),
        false => fields.extend([
            Field::Map(Tensor::Windows, HOPPER_KEYS),
            Field::Map(Tensor::FullWindows, HOPPER_KEYS),
            Field::Stride(Tensor::K, Axis::Token),
        ]),
    }
    fields.extend(left());
    fields.push(count(Scratch::ScoreTickets));
    fields.extend(numbers([
        QLen,
        KvLen,
        QSamples,
        KvSamples,
        Rows,
        Blocks,
        Batch,
        Groups,
        Segments,
        SegmentKeys,
    ]));
    // It takes unit after unit.
    let units = Expr::from(QSamples).ceil_div(number(rows)) * Segments * Groups * Batch;
    Kernel {
        id: KernelId::Score,
        unit: UnitId::Score,
        arch: Arch::Sm90a,
        params: lay_out(fields),
        threads: (WARPGROUPS + 1) * WG_THREADS,
        shared: number(BARRIER_BYTES + HOPPER_STAGES * HOPPER_STAGE),
        grid: [Expr::Multiprocessors.min(units), number(1), number(1)],
        pack: 1,
        bounds: "CTA_THREADS, 1",
        files: SCORE_HOPPER.into(),
    }
}
