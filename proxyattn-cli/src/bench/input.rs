//! Inputs with structure to select: topics that recur, and queries that match them.
//!
//! With pure noise every query attends evenly, and a dynamic budget would rightly keep every block.

use half::bf16;
use proxyattn_codegen::Spec;
use proxyattn_runtime::{Device, Element, Error, Problem, Result, Tensor};
use rayon::prelude::*;

/// Tokens per topic segment.
const SEGMENT: usize = 256;
const TOPICS: usize = 16;
/// By how much the score of a key with the query's topic exceeds the others.
const GAIN: f32 = 9.0;

/// The inputs of a prefill.
pub(super) struct Qkv<T> {
    pub(super) q: Tensor<T>,
    pub(super) k: Tensor<T>,
    pub(super) v: Tensor<T>,
}

impl<T: Element> Qkv<T> {
    pub(super) fn to(&self, device: &Device) -> Result<Self> {
        Ok(Self { q: self.q.to(device)?, k: self.k.to(device)?, v: self.v.to(device)? })
    }
}

/// Deterministic: the same inputs for the same shape, on any machine.
pub(super) fn generate<T: Element>(spec: &Spec, problem: &Problem) -> Result<Qkv<T>> {
    let dim = spec.head_dim as usize;
    let per_kv = problem.heads_per_kv();
    // With more queries than keys, queries start at the first key.
    let offset = problem.kv_len.saturating_sub(problem.q_len);
    let topic = |kv_head: usize, token: usize| {
        let mut noise = Noise::new(1, kv_head * TOPICS + noise_of(token / SEGMENT) % TOPICS);
        (0..dim).map(|_| noise.next()).collect::<Vec<_>>()
    };
    // `q·k·scale` is about GAIN if query and key have the same topic.
    let length = (f64::from(GAIN) / spec.softmax_scale() / dim as f64).sqrt() as f32;
    let mixed = |kind: usize, head: usize, kv_head: usize, token: usize| {
        let mut noise = Noise::new(kind, head << 32 | token);
        let topic = topic(kv_head, token);
        topic.into_iter().map(|x| length * (x + 0.5 * noise.next())).collect::<Vec<_>>()
    };
    let rows = |heads: usize, tokens: usize, row: &(dyn Fn(usize, usize) -> Vec<f32> + Sync)| {
        let mut data = zeroed(problem.batch * heads * tokens * dim)?;
        data.par_chunks_exact_mut(dim).enumerate().for_each(|(i, out)| {
            for (out, x) in out.iter_mut().zip(row(i / tokens, i % tokens)) {
                *out = T::from_f32(x);
            }
        });
        Tensor::from_bhsd(data, [problem.batch, heads, tokens, dim])
    };
    Ok(Qkv {
        q: rows(problem.heads, problem.q_len, &|head, token| mixed(2, head, head / per_kv, offset + token))?,
        k: rows(problem.kv_heads, problem.kv_len, &|head, token| mixed(3, head, head, token))?,
        v: rows(problem.kv_heads, problem.kv_len, &|head, token| {
            let mut noise = Noise::new(4, head << 32 | token);
            (0..dim).map(|_| bf16::from_f32(noise.next()).to_f32()).collect()
        })?,
    })
}

/// A zeroed buffer of `len` elements; an error if the memory is not available.
fn zeroed<T: Element>(len: usize) -> Result<Vec<T>> {
    let mut data = Vec::new();
    let refused = |_| Error::Memory { what: "inputs", of: "host", bytes: (len * size_of::<T>()) as u64 };
    data.try_reserve_exact(len).map_err(refused)?;
    data.resize(len, T::default());
    Ok(data)
}

fn noise_of(segment: usize) -> usize {
    Noise::new(5, segment).bits() as usize
}

/// Uniform noise of unit variance; one generator per stream (`SplitMix64`).
struct Noise(u64);

impl Noise {
    fn new(kind: usize, stream: usize) -> Self {
        let mut noise = Self((stream as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (kind as u64) << 56);
        noise.0 = noise.bits();
        noise
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn next(&mut self) -> f32 {
        ((self.bits() >> 40) as f32 / (1 << 24) as f32 - 0.5) * 12f32.sqrt()
    }
}
