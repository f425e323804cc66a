//! The kernels that find a group's mean queries and keys.

use super::{Precision, Proxy};
use crate::Arch;
use crate::abi::build::{clear, lay_out, number, numbers, read, strides, write};
use crate::abi::{Expr, Field, Kernel, KernelId, Keys, Macro, Scalar, Scratch, Tensor, UnitId};
use crate::arch::portable::POOL_THREADS;
use crate::pipeline::{Cx, Define};

const POOL: &[&str] = &["arch/portable/tile.cuh", "scorer/mean.cuh", "scorer/proxy/pool.cuh"];
const POOL_E4M3: &[&str] =
    &["arch/portable/tile.cuh", "scorer/mean.cuh", "scorer/proxy/e4m3.cuh", "scorer/proxy/pool.e4m3.cuh"];

/// Threads of a CTA that computes all mean keys of a block, at most.
const KEY_POOL_THREADS: u32 = 256;

/// Lanes that share a sample, as `ROW_LANES` has it: each has eight elements.
fn row_lanes(cx: &Cx<'_>) -> u32 {
    (cx.spec.head_dim / 8).next_power_of_two()
}

fn key_threads(cx: &Cx<'_>) -> u32 {
    (cx.spec.block_samples().kv * row_lanes(cx)).clamp(32, KEY_POOL_THREADS)
}

/// Constants that the launch knows, too.
pub(super) fn constants(proxy: &Proxy, cx: &Cx<'_>) -> Vec<Define> {
    let mut constants = vec![("POOL_THREADS", POOL_THREADS.to_string())];
    if proxy.scores == Precision::E4m3 {
        constants.push(("KEY_POOL_THREADS", key_threads(cx).to_string()));
        constants.push(("CENTRE_BLOCKS", Proxy::CENTRE_BLOCKS.to_string()));
    }
    constants
}

pub(super) fn kernels(proxy: &Proxy, cx: &Cx<'_>) -> Vec<Kernel> {
    match (proxy.scores, proxy.keys(cx)) {
        (Precision::E4m3, _) => vec![pool_queries_e4m3(proxy, cx), pool_keys_e4m3(proxy, cx)],
        (Precision::Native, Keys::Sampled) => vec![pool_queries(cx)],
        (Precision::Native, Keys::Pooled | Keys::Pooled8) => vec![pool_queries(cx), pool_keys(cx)],
    }
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

/// A row's lanes find its power of two; the last CTA of a group finds the centre of its keys.
fn pool_queries_e4m3(proxy: &Proxy, cx: &Cx<'_>) -> Kernel {
    let rounded = if proxy.in_bytes(cx) { Scratch::ProxyQ8 } else { Scratch::ProxyQ };
    let mut fields = vec![
        read(Tensor::Q),
        read(Tensor::K),
        write(rounded),
        write(Scratch::QFactors),
        write(Scratch::Centres),
    ];
    if cx.segments() {
        fields.push(clear(Scratch::ScoreTickets));
    }
    fields.extend(strides(Tensor::Q).chain(strides(Tensor::K)));
    fields.extend(numbers([
        Scalar::QSamples,
        Scalar::Blocks,
        Scalar::Groups,
        Scalar::HeadsPerGroup,
        Scalar::KvHeadsPerGroup,
    ]));
    let rows = Expr::from(Scalar::QSamples).ceil_div(number(POOL_THREADS / row_lanes(cx)));
    Kernel {
        shared: number(POOL_THREADS * 8 * 4),
        grid: [rows + number(1), Scalar::Groups.into(), Scalar::Batch.into()],
        arch: if proxy.in_bytes(cx) { Arch::Sm90a } else { Arch::Sm80 },
        bounds: "POOL_THREADS",
        files: POOL_E4M3.into(),
        ..pool(cx, KernelId::PoolQueries, fields, Scalar::QSamples)
    }
}

/// A CTA has the samples of a block.
fn pool_keys_e4m3(proxy: &Proxy, cx: &Cx<'_>) -> Kernel {
    let rounded = if proxy.in_bytes(cx) { Scratch::ProxyK8 } else { Scratch::ProxyK };
    let mut fields = vec![read(Tensor::K), read(Scratch::Centres), write(rounded), write(Scratch::KFactors)];
    fields.extend(strides(Tensor::K));
    fields.extend(numbers([Scalar::KvSamples, Scalar::Blocks, Scalar::Groups, Scalar::KvHeadsPerGroup]));
    Kernel {
        threads: key_threads(cx),
        shared: number(key_threads(cx).div_ceil(32) * 4),
        grid: [Scalar::Blocks.into(), Scalar::Groups.into(), Scalar::Batch.into()],
        bounds: "KEY_POOL_THREADS",
        arch: if proxy.in_bytes(cx) { Arch::Sm90a } else { Arch::Sm80 },
        files: POOL_E4M3.into(),
        ..pool(cx, KernelId::PoolKeys, fields, Scalar::KvSamples)
    }
}
