//! GPU prefill at a Llama-3.1-8B shape: B = 1, 32 query heads on 8 KV heads, heads of 128 dims, bf16, causal.
//!
//! `cargo bench --bench gpu -- [TOKENS ...]`, on a machine with a GPU; elsewhere it says so and ends.
//!
//! `load` is the first load of a kernel in this process, `hit` the median of later ones. Stages are timed one by one with
//! the stream drained around each; `host` is what it takes to put a call into the stream, `call` the median of whole calls
//! in a row, as a program makes them. TFLOP/s count 4·D for every visited pair of whole tiles (dense: half of the square).

use half::bf16;
use proxyattn::{AttentionKernel, Device, Problem, Result, Stage, Tensor, proxy_attention};
use rayon::prelude::*;
use std::time::{Duration, Instant};

#[proxy_attention(budget = all)]
struct Dense;

#[proxy_attention(budget = ratio(0.10))]
struct Tenth64;

#[proxy_attention(budget = ratio(0.10), block = 128)]
struct Tenth128;

#[proxy_attention(budget = ratio(0.10), stride = 4)]
struct Tenth64Strided;

#[proxy_attention(budget = dynamic(gamma = 0.9), stride = 4, groups = 1)]
struct OneProxyStrided;

#[proxy_attention(budget = dynamic(gamma = 0.9), stride = 4)]
struct AllProxiesStrided;

#[proxy_attention]
struct Default128;

const HEADS: usize = 32;
const KV_HEADS: usize = 8;
const DIM: usize = 128;

fn main() -> Result<()> {
    if let Some(reason) = Device::why_not_cuda() {
        println!("no GPU: {reason}");
        return Ok(());
    }
    let device = Device::cuda(0)?;
    println!("{device}");
    let tokens: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    for n in if tokens.is_empty() { vec![8192, 32768] } else { tokens } {
        let inputs = [HEADS, KV_HEADS, KV_HEADS].map(|heads| random(heads, n));
        let [q, k, v] = inputs.map(|tensor| tensor.and_then(|tensor| tensor.to(&device)));
        let qkv = [q?, k?, v?];
        println!(
            "\n{:<20}{:>12}{:>9}{:>9}{:>10}{:>10}{:>10}  stages (ms)",
            format!("{n} tokens"),
            "load ms",
            "hit µs",
            "host µs",
            "call ms",
            "density",
            "TFLOP/s"
        );
        run::<Dense>(&device, &qkv)?;
        run::<Tenth64>(&device, &qkv)?;
        run::<Tenth128>(&device, &qkv)?;
        run::<Tenth64Strided>(&device, &qkv)?;
        run::<OneProxyStrided>(&device, &qkv)?;
        run::<AllProxiesStrided>(&device, &qkv)?;
        run::<Default128>(&device, &qkv)?;
    }
    Ok(())
}

fn run<K: AttentionKernel<Elem = bf16>>(device: &Device, [q, k, v]: &[Tensor<bf16>; 3]) -> Result<()> {
    let begun = Instant::now();
    let attention = K::load(device)?.with_dense_below(0);
    let load = begun.elapsed();
    let mut hits = Vec::new(); // once more, while it is held
    for _ in 0..101 {
        let begun = Instant::now();
        let again = K::load(device)?;
        hits.push(begun.elapsed());
        drop(again);
    }
    hits.sort();
    let n = q.shape()[2];
    let plan =
        attention.plan(&Problem { batch: 1, heads: HEADS, kv_heads: KV_HEADS, q_len: n, kv_len: n })?;

    attention.prefill_traced(q, k, v, &())?;
    let mut traces = Vec::new();
    for _ in 0..5 {
        traces.push(attention.prefill_traced(q, k, v, &())?);
    }
    traces.sort_by_key(|trace| trace.times.total());
    let trace = &traces[2];

    let mut calls: Vec<Duration> = Vec::new();
    let mut host = Duration::MAX; // to put a call into the stream
    let mut output = attention.prefill(q, k, v)?;
    for _ in 0..5 {
        output.synchronize()?;
        let begun = Instant::now();
        for _ in 0..4 {
            attention.prefill_into(q, k, v, output.view_mut())?;
        }
        host = host.min(begun.elapsed() / 4);
        output.synchronize()?;
        calls.push(begun.elapsed() / 4);
    }
    calls.sort();

    let density = trace.selection.density();
    let block = f64::from(K::SPEC.block.q) * f64::from(K::SPEC.block.kv);
    let tiles = plan.geometry().visible_tiles() as f64;
    let pairs = if plan.is_dense() { (n as f64).powi(2) / 2.0 } else { tiles * density * block };
    let flops = 4.0 * DIM as f64 * HEADS as f64 * pairs;
    let rate = flops / trace.times.of(Stage::Attend).as_secs_f64() / 1e12;
    let stages: Vec<_> =
        Stage::ALL.iter().map(|&stage| format!("{stage} {:.3}", ms(trace.times.of(stage)))).collect();
    println!(
        "{:<20}{:>12.3}{:>9.2}{:>9.1}{:>10.3}{density:>10.4}{rate:>10.1}  {}",
        K::NAME,
        ms(load),
        hits[hits.len() / 2].as_secs_f64() * 1e6,
        host.as_secs_f64() * 1e6,
        ms(calls[2]),
        stages.join(", ")
    );
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Uniform values of unit variance: each head of its own.
fn random(heads: usize, tokens: usize) -> Result<Tensor<bf16>> {
    let mut data = vec![bf16::ZERO; heads * tokens * DIM];
    data.par_chunks_mut(tokens * DIM).enumerate().for_each(|(head, data)| {
        let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul((heads * 1000 + head + 1) as u64);
        for x in data {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *x = bf16::from_f32(((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 12f32.sqrt());
        }
    });
    Tensor::from_bhsd(data, [1, heads, tokens, DIM])
}
