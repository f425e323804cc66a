//! The scorer `proxy`: mean queries and keys of the groups, and one pass of the ones over the others.

mod syntax;

use super::Contract;
use crate::abi::build::{clear, count, lay_out, number, numbers, read, strides, write};
use crate::abi::{Buffer, Expr, Field, Kernel, KernelId, Keys, Macro, Scalar, Scratch, Size, Tensor, UnitId};
use crate::arch::HopperTiles;
use crate::arch::hopper::{self, WG_ROWS};
use crate::arch::portable::{self, SCORING_THREADS};
use crate::pipeline::{Cx, Part};
use crate::{Arch, Spec, Stride};

const POOL: &[&str] = &["arch/portable/tile.cuh", "scorer/proxy/pool.cuh"];
const SCORE: &[&str] = &[
    "arch/portable/tile.cuh",
    "geometry/sequence.cuh",
    "geometry/samples.cuh",
    "arch/portable/scoring.cuh",
    "scorer/proxy/maxima.cuh",
    "scorer/proxy/score.cuh",
];
const SCORE_HOPPER: &[&str] = &[
    "arch/hopper/cta.cuh",
    "geometry/sequence.cuh",
    "geometry/samples.cuh",
    "arch/hopper/scoring.cuh",
    "scorer/proxy/maxima.cuh",
    "scorer/proxy/score.hopper.cuh",
];

/// Threads of a CTA that computes means.
pub(crate) const POOL_THREADS: u32 = 128;

named! {
    /// What a sample's scores are normalised by.
    pub enum Sums {
        /// `log Σ_j exp(m(j))` over the largest score m of each block j: one exponential for a block.
        Maxima = "maxima",
        /// `log Σ_s exp(x(s))` over the scores x of all keys s: softmax as the paper has it.
        Exact = "exact",
    }
}

named! {
    /// What the products of proxies are computed in.
    pub enum Precision {
        /// Eight-bit floats with four bits of exponent and three of mantissa, each sample's row and each block of keys with
        /// a power of two of their own.
        E4m3 = "e4m3",
        /// The element type.
        Native = "native",
    }
}

/// Token-level softmax of a group's mean query against its mean key, max-pooled over the block (ProxyAttn, arXiv 2509.24745).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proxy {
    /// What a sample's scores are normalised by, before the largest is taken over the samples of a row of blocks.
    pub sums: Sums,
    /// What products are computed in.
    pub scores: Precision,
}

impl Proxy {
    /// `scorer = proxy` without any part.
    pub const DEFAULT: Proxy = Proxy { sums: Sums::Exact, scores: Precision::Native };

    /// The paper's rule.
    pub const PAPER: Proxy = Proxy { sums: Sums::Exact, scores: Precision::Native };
}

impl Contract for Proxy {
    /// The first token of each window of the stride is looked at.
    fn window(&self, spec: &Spec) -> Stride {
        spec.stride
    }

    /// Shared memory has no room for wider rows, and a block's samples are at least the eight columns of a lane's quad, and
    /// at most a stage.
    fn on_hopper(&self, spec: &Spec, tiles: &HopperTiles) -> bool {
        let samples = spec.block_samples().kv;
        spec.head_dim <= 128 && samples >= 8 && tiles.keys.is_multiple_of(samples)
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let mut memory = vec![(UnitId::Scoring, portable::scoring_memory(cx))];
        match cx.native.score {
            Arch::Sm80 => {}
            Arch::Sm90a => {
                let first = "barriers and descriptions of work";
                memory.push((UnitId::Score, hopper::scoring_memory(cx, first)));
            }
        }
        Part {
            kernels: kernels(cx),
            buffers: buffers(cx),
            sections: sections(cx),
            shared: vec![("POOL_THREADS", POOL_THREADS.to_string())],
            memory,
            ..Part::default()
        }
    }
}

/// A group's mean keys, or the keys of the one KV head that it has.
fn keys_of(spec: &Spec) -> Keys {
    match spec.groups.is_some() && spec.groups != spec.kv_heads {
        true => Keys::Pooled,
        false => Keys::Sampled,
    }
}

fn sections(cx: &Cx<'_>) -> Vec<(&'static str, bool)> {
    let (spec, tiles) = (cx.spec, cx.tiles);
    let samples = spec.block_samples().kv;
    vec![
        ("POOL_KEYS", !spec.is_dense() && keys_of(cx.spec) == Keys::Pooled),
        ("BLOCK_FILLS_STAGE", samples == tiles.hopper.keys),
        // How a block's samples lie in a tile of scores.
        ("BLOCK_SPANS_TILES", samples > tiles.ring_keys),
        ("BLOCK_FILLS_N_TILES", samples <= tiles.ring_keys && samples >= 8),
        ("BLOCK_WITHIN_N_TILE", samples < 8),
        ("BLOCK_OF_4", samples == 4),
        ("BLOCK_OF_2", samples == 2),
        ("BLOCK_OF_1", samples == 1),
    ]
}

fn buffers(cx: &Cx<'_>) -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Groups, KvSamples, QSamples, Rows, Segments};
    let s = Size::Scalar;
    let [head_dim, samples_q] = [Macro::HeadDim, Macro::SamplesQ].map(|m| cx.size(m));
    let buffer = |scratch, dims, holds| Buffer { scratch, dims, holds };
    let query = vec![s(Batch), s(Groups), s(QSamples), head_dim];
    let mut buffers = vec![buffer(Scratch::ProxyQ, query, "mean query of a group")];
    match keys_of(cx.spec) {
        Keys::Pooled => {
            let key = vec![s(Batch), s(Groups), s(KvSamples), head_dim];
            buffers.push(buffer(Scratch::ProxyK, key, "mean key of a group"));
        }
        Keys::Sampled => {}
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
    buffers.extend([
        buffer(
            Scratch::Maxima,
            maxima,
            "largest score of a (sample, block): 64ths of log2 above the sample's floor",
        ),
        buffer(Scratch::Floors, per_sample.clone(), floor),
        buffer(Scratch::Lse, per_sample, sum),
    ]);
    if cx.segments() {
        buffers.push(buffer(Scratch::ScoreTickets, vec![], "units of score that are taken"));
    }
    buffers
}

fn kernels(cx: &Cx<'_>) -> Vec<Kernel> {
    let mut kernels = vec![pool_queries(cx)];
    match keys_of(cx.spec) {
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
    if cx.segments() {
        fields.push(clear(Scratch::ScoreTickets));
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
        files: POOL.into(),
    }
}

fn score(cx: &Cx<'_>) -> Kernel {
    let keys = Tensor::Keys(keys_of(cx.spec));
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
        files: SCORE.into(),
    }
}

fn score_hopper(cx: &Cx<'_>) -> Kernel {
    let hopper = &cx.tiles.hopper;
    let mut fields = vec![
        Field::Map(Tensor::ProxyQ, WG_ROWS),
        Field::Map(Tensor::Keys(keys_of(cx.spec)), hopper.keys),
        write(Scratch::Maxima),
        write(Scratch::Floors),
        write(Scratch::Lse),
        count(Scratch::ScoreTickets),
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
        files: SCORE_HOPPER.into(),
    }
}
