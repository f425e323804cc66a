//! The buffers of the scorer, and its pass over the keys.

use super::{Pools, Precision, Proxy, pool};
use crate::Arch;
use crate::abi::build::{count, lay_out, number, numbers, read, strides, write};
use crate::abi::{Buffer, Expr, Field, Kernel, KernelId, Keys, Macro, Scalar, Scratch, Size, Tensor, UnitId};
use crate::arch::hopper::WG_ROWS;
use crate::arch::portable::SCORING_THREADS;
use crate::pipeline::Cx;

const SCORE: [&[&str]; 3] = [
    &["arch/portable/tile.cuh", "geometry/sequence.cuh", "geometry/samples.cuh", "arch/portable/scoring.cuh"],
    &["arch/portable/running.cuh"],
    &["scorer/maxima.cuh", "scorer/proxy/score.cuh"],
];
const SCORE_HOPPER: [&[&str]; 5] = [
    &["arch/hopper/cta.cuh", "geometry/sequence.cuh", "geometry/samples.cuh"],
    &["arch/hopper/operands.cuh"],
    &["arch/hopper/scoring.cuh"],
    &["arch/hopper/headroom.cuh", "arch/hopper/sums.cuh"],
    &["scorer/maxima.cuh", "scorer/proxy/score.hopper.cuh"],
];
/// In place of the second.
const OPERANDS_E4M3: &[&str] = &["arch/hopper/operands.e4m3.cuh"];

pub(super) fn kernels(proxy: &Proxy, cx: &Cx<'_>) -> Vec<Kernel> {
    let mut kernels = pool::kernels(proxy, cx);
    kernels.push(match cx.native.score {
        Arch::Sm80 => score(proxy, cx),
        Arch::Sm90a => score_hopper(proxy, cx),
    });
    kernels
}

pub(super) fn buffers(proxy: &Proxy, cx: &Cx<'_>) -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Groups, KvSamples, QSamples, Rows, Segments};
    let s = Size::Scalar;
    let [head_dim, samples_q] = [Macro::HeadDim, Macro::SamplesQ].map(|m| cx.size(m));
    let buffer = |scratch, dims, holds| Buffer { scratch, dims, holds };
    let query = vec![s(Batch), s(Groups), s(QSamples), head_dim];
    let key = vec![s(Batch), s(Groups), s(KvSamples), head_dim];
    let mut buffers = match proxy.keys(cx) {
        Keys::Pooled => vec![
            buffer(Scratch::ProxyQ, query, "mean query of a group"),
            buffer(Scratch::ProxyK, key, "mean key of a group"),
        ],
        Keys::Pooled8 => vec![
            buffer(Scratch::ProxyQ8, query, "mean query of a group"),
            buffer(Scratch::ProxyK8, key, "mean key of a group"),
        ],
        Keys::Sampled => vec![buffer(Scratch::ProxyQ, query, "mean query of a group")],
    };
    if proxy.scores == Precision::E4m3 {
        let (of_query, of_block) =
            (vec![s(Batch), s(Groups), s(QSamples)], vec![s(Batch), s(Groups), s(Blocks)]);
        buffers.extend([
            buffer(Scratch::QFactors, of_query, "power of two that a mean query was divided by"),
            buffer(Scratch::KFactors, of_block, "power of two that a block of mean keys was divided by"),
            buffer(
                Scratch::Centres,
                vec![s(Batch), s(Groups), head_dim],
                "what all keys of a group have lost",
            ),
        ]);
    }
    let maxima = vec![s(Batch), s(Groups), s(Rows), s(Blocks), samples_q];
    let (per_sample, floor, sum) = match cx.segments() {
        true => (
            vec![s(Batch), s(Groups), s(Rows), s(Segments), samples_q],
            "score of code 0 of a sample in a segment, base 2",
            "log2 of the sum over a sample's keys of a segment",
        ),
        false => (
            vec![s(Batch), s(Groups), s(Rows), samples_q],
            "score of code 0 of a sample, base 2",
            "log2 of the sum over a sample's keys",
        ),
    };
    let kept = match proxy.pool {
        Pools::Max => "largest score of a (sample, block): 64ths of log2 above the sample's floor",
        Pools::Sum => {
            "log2 of the sum over the keys of a (sample, block): in 64ths, above the sample's floor"
        }
    };
    buffers.extend([
        buffer(Scratch::Maxima, maxima, kept),
        buffer(Scratch::Floors, per_sample.clone(), floor),
        buffer(Scratch::Lse, per_sample, sum),
    ]);
    if cx.segments() {
        buffers.push(buffer(Scratch::ScoreTickets, vec![], "units of score that are taken"));
    }
    buffers
}

/// What scores are multiplied by where elements were divided.
fn factors(proxy: &Proxy) -> Vec<Field> {
    match proxy.scores {
        Precision::E4m3 => vec![read(Scratch::QFactors), read(Scratch::KFactors)],
        Precision::Native => vec![],
    }
}

fn score(proxy: &Proxy, cx: &Cx<'_>) -> Kernel {
    let keys = Tensor::Keys(proxy.keys(cx));
    let mut fields = vec![
        read(Scratch::ProxyQ),
        read(keys),
        write(Scratch::Maxima),
        write(Scratch::Floors),
        write(Scratch::Lse),
    ];
    fields.extend(factors(proxy));
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
    // The second sums up every key.
    let [first, sums, last] = SCORE;
    let sums = if proxy.adds_keys() { sums } else { &[] };
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
        files: [first, sums, last].concat(),
    }
}

fn score_hopper(proxy: &Proxy, cx: &Cx<'_>) -> Kernel {
    let hopper = &cx.tiles.hopper;
    let queries = if proxy.in_bytes(cx) { Tensor::ProxyQ8 } else { Tensor::ProxyQ };
    let mut fields = vec![
        Field::Map(queries, WG_ROWS),
        Field::Map(Tensor::Keys(proxy.keys(cx)), hopper.keys),
        write(Scratch::Maxima),
        write(Scratch::Floors),
        write(Scratch::Lse),
        count(Scratch::ScoreTickets),
    ];
    fields.extend(factors(proxy));
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
    let [first, operands, scoring, sums, last] = SCORE_HOPPER;
    let operands = if proxy.in_bytes(cx) { OPERANDS_E4M3 } else { operands };
    let sums = if proxy.adds_keys() { sums } else { &[] };
    Kernel {
        id: KernelId::Score,
        unit: UnitId::Score,
        arch: Arch::Sm90a,
        params: lay_out(fields),
        threads: hopper.score_threads(),
        shared: number(hopper.operand_bytes(cx.spec, proxy.operand_bytes(cx))),
        grid: [Expr::Multiprocessors.min(units), number(1), number(1)],
        pack: 1,
        bounds: "CTA_THREADS, 1",
        files: [first, operands, scoring, sums, last].concat(),
    }
}
