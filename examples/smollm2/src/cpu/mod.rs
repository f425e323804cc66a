//! The model on the CPU: f32 activations, keys and values cached in bf16, attention by proxyattn.
//!
//! ```text
//! embed ─▶ each layer: norm ─▶ q, k, v ─▶ RoPE ─▶ cache ─▶ attention ─▶ o ─▶ norm ─▶ MLP ─▶ norm ─▶ logits
//!                      └────── by chunks of tokens ──────┘              └── by chunks ──┘
//! ```

mod linear;
mod pointwise;

use crate::runner::check_step;
use crate::{
    Config, Detail, Error, Inputs, Layer, Method, Observer, Result, Runner, Step, Times, Visits, Weights,
};
use core::ops::Range;
use core::time::Duration;
use half::bf16;
use linear::{Output, apply};
use pointwise::{Rotations, argmax, rms_norm, round, silu_times};
use proxyattn::{AsView, Attention, Device, Selection, Tensor, Trace, View};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::Instant;

/// Tokens that a thread takes at a time, at the most: enough to pay for a pass over the weights, and few enough that what
/// is between two linear maps stays in its cache.
const CHUNK: usize = 256;
/// And at the least: the vectors of a linear map hold this many.
const LEAST: usize = 16;

/// The model on the CPU.
pub struct Cpu {
    weights: Arc<Weights>,
    rotations: Rotations,
    layers: Vec<Cache>,
    capacity: usize,
    cached: usize,
}

/// Keys and values of one layer, `[capacity, kv_heads · head_dim]`.
struct Cache {
    k: Vec<bf16>,
    v: Vec<bf16>,
}

impl Cpu {
    /// A model with an empty KV cache that has room for `capacity` tokens.
    ///
    /// # Errors
    /// [`Error::Model`] for weights of other shapes than they say, [`Error::Argument`] for no capacity.
    pub fn new(weights: Arc<Weights>, capacity: usize) -> Result<Self> {
        weights.check()?;
        if capacity == 0 {
            return Err(Error::argument("capacity", "room for at least one token", "0"));
        }
        let c = &weights.config;
        let buffer = || vec![bf16::ZERO; capacity * c.kv_width()];
        let layers = (0..c.layers).map(|_| Cache { k: buffer(), v: buffer() }).collect();
        let rotations = Rotations::new(capacity, c.head_dim, c.rope_theta);
        Ok(Self { weights, rotations, layers, capacity, cached: 0 })
    }

    /// Norm, projections and rotation of `x [tokens, hidden]`: queries are returned, keys and values go to the cache.
    fn project(&mut self, layer: usize, x: &[f32]) -> Vec<bf16> {
        let Self { weights, rotations, layers, cached, .. } = self;
        let (c, w) = (&weights.config, &weights.layers[layer]);
        let (tokens, width, kv_width) = (x.len() / c.hidden, c.q_width(), c.kv_width());
        let size = chunk(tokens);
        let new = *cached * kv_width..(*cached + tokens) * kv_width;
        let mut q = vec![bf16::ZERO; tokens * width];
        let chunks = (x.par_chunks(size * c.hidden), q.par_chunks_mut(size * width));
        let cache = &mut layers[layer];
        let chunks = chunks.into_par_iter().zip((
            cache.k[new.clone()].par_chunks_mut(size * kv_width),
            cache.v[new].par_chunks_mut(size * kv_width),
        ));
        chunks.enumerate().for_each(|(i, ((x, q_out), (k_out, v_out)))| {
            let normed = norms(x, &w.attention_norm, c);
            let tokens = x.len() / c.hidden;
            let (mut q, mut k) = (vec![0.0; tokens * width], vec![0.0; tokens * kv_width]);
            apply(&w.q, &normed, &mut q, Output::Set);
            apply(&w.k, &normed, &mut k, Output::Set);
            for t in 0..tokens {
                let position = *cached + i * size + t;
                rotations.turn(position, &q[t * width..][..width], &mut q_out[t * width..][..width]);
                rotations.turn(
                    position,
                    &k[t * kv_width..][..kv_width],
                    &mut k_out[t * kv_width..][..kv_width],
                );
            }
            let mut v = k;
            apply(&w.v, &normed, &mut v, Output::Set);
            round(&v, v_out);
        });
        q
    }

    /// What a layer's attention runs on, as `[q, k, v]`: queries of the newest tokens, which are in the cache already.
    fn views<'a>(&'a self, layer: usize, q: &'a [bf16]) -> Result<[View<'a, bf16>; 3]> {
        let c = &self.weights.config;
        let tokens = q.len() / c.q_width();
        let cache = [1, self.cached + tokens, c.kv_heads, c.head_dim];
        let Cache { k, v } = &self.layers[layer];
        let q = View::bshd(q, [1, tokens, c.heads, c.head_dim])?;
        Ok([q, View::bshd(k, cache)?, View::bshd(v, cache)?])
    }

    /// The most likely tokens after some of `x [tokens, hidden]`.
    fn most_likely(&self, x: &[f32]) -> Vec<u32> {
        let Weights { config: c, embedding, norm, .. } = &*self.weights;
        let chunks = x.par_chunks(LEAST * c.hidden).flat_map_iter(|x| {
            let mut logits = vec![0.0; x.len() / c.hidden * c.vocab];
            apply(embedding, &norms(x, norm, c), &mut logits, Output::Set);
            logits.chunks_exact(c.vocab).map(argmax).collect::<Vec<_>>()
        });
        chunks.collect()
    }
}

/// Tokens of a chunk, so that every thread has one.
fn chunk(tokens: usize) -> usize {
    tokens.div_ceil(rayon::current_num_threads()).clamp(LEAST, CHUNK)
}

fn norms(x: &[f32], weight: &[f32], c: &Config) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    for (x, out) in x.chunks_exact(c.hidden).zip(out.chunks_exact_mut(c.hidden)) {
        rms_norm(x, weight, c.rms_eps, out);
    }
    out
}

/// Adds what a layer makes of its attention to `x [tokens, hidden]`.
fn finish(w: &Layer, c: &Config, attention: &Tensor<bf16>, x: &mut [f32]) {
    let attention = attention.as_view();
    let size = chunk(x.len() / c.hidden);
    x.par_chunks_mut(size * c.hidden).enumerate().for_each(|(i, x)| {
        let tokens = x.len() / c.hidden;
        let mut heads = vec![0.0; tokens * c.q_width()];
        for (j, out) in heads.chunks_exact_mut(c.head_dim).enumerate() {
            let (token, head) = (j / c.heads, j % c.heads);
            let row = attention.row(0, head, i * size + token);
            out.iter_mut().zip(row).for_each(|(out, x)| *out = x.to_f32());
        }
        apply(&w.o, &heads, x, Output::Add);
        let normed = norms(x, &w.mlp_norm, c);
        let (mut gate, mut up) = (vec![0.0; tokens * c.intermediate], vec![0.0; tokens * c.intermediate]);
        apply(&w.gate, &normed, &mut gate, Output::Set);
        apply(&w.up, &normed, &mut up, Output::Set);
        silu_times(&mut gate, &up);
        apply(&w.down, &gate, x, Output::Add);
    });
}

/// The time since then, which is now.
fn lap(begun: &mut Instant) -> Duration {
    let now = Instant::now();
    now - core::mem::replace(begun, now)
}

/// Tells an observer as much of a layer as it wants to know.
fn tell(observer: &mut dyn Observer, layer: usize, inputs: &Inputs<'_>) {
    let detail = observer.detail(layer);
    if detail >= Detail::Visits {
        observer.visits(layer, visits(inputs.selection));
    }
    if detail >= Detail::Inputs {
        observer.inputs(layer, inputs);
    }
}

fn visits(selection: &Selection) -> Visits {
    let (rows, heads) = (selection.geometry().rows(), selection.heads());
    let counts = (0..heads).flat_map(|head| (0..rows).map(move |row| selection.count(0, head, row) as u64));
    Visits { visited: counts.sum(), visible: selection.geometry().visible_tiles() * heads as u64 }
}

impl Runner for Cpu {
    fn config(&self) -> &Config {
        &self.weights.config
    }

    fn device(&self) -> String {
        Device::Cpu.to_string()
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn cached(&self) -> usize {
        self.cached
    }

    /// There is nothing to compile.
    fn prepare(&mut self, _: &[Method]) -> Result<()> {
        Ok(())
    }

    fn truncate(&mut self, tokens: usize) -> Result<()> {
        if tokens > self.cached {
            return Err(Error::argument(
                "tokens",
                format!("at most the {} cached", self.cached),
                tokens.to_string(),
            ));
        }
        self.cached = tokens;
        Ok(())
    }

    fn step(
        &mut self,
        tokens: &[u32],
        method: &Method,
        asked: Range<usize>,
        observer: &mut dyn Observer,
    ) -> Result<Step> {
        check_step(self, tokens, method, &asked)?;
        let (mut times, mut begun) = (Times::default(), Instant::now());
        // The method is what runs, however short a question is.
        let kernel = Attention::load(&method.spec, &Device::Cpu)?.with_dense_below(0);
        let weights = Arc::clone(&self.weights);
        let c = &weights.config;
        let mut x: Vec<f32> =
            tokens.iter().flat_map(|&token| weights.embedding.row(token as usize)).copied().collect();
        for (i, layer) in weights.layers.iter().enumerate() {
            let q = self.project(i, &x);
            times.rest += lap(&mut begun);
            let [q, k, v] = self.views(i, &q)?;
            let Trace { output, selection, .. } = kernel.prefill_traced(&q, &k, &v, &())?;
            times.attention += lap(&mut begun);
            tell(observer, i, &Inputs { q, k, v, selection: &selection });
            begun = Instant::now(); // an observer's time is its own
            finish(layer, c, &output, &mut x);
            times.rest += lap(&mut begun);
            observer.done(i);
        }
        let next = self.most_likely(&x[asked.start * c.hidden..asked.end * c.hidden]);
        self.cached += tokens.len();
        times.rest += lap(&mut begun);
        Ok(Step { next, times })
    }

    fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(1024 * kib)
    }
}
