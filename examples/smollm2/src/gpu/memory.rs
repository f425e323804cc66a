//! What lies in device memory: weights, activations, the KV cache.

use super::cublas::Matrix;
use super::failed;
use crate::{Config, weights};
use half::bf16;
use proxyattn::Result;
use proxyattn::cudarc::driver::{CudaSlice, CudaStream};
use std::sync::Arc;

/// Rows whose logits are made at once.
pub(super) const LOGIT_ROWS: usize = 256;

/// The weights of a model: matrices in bf16, norms in f32.
pub(super) struct Weights {
    /// `[vocab, hidden]`, in and out.
    pub(super) embedding: Matrix,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: CudaSlice<f32>,
}

/// The weights of a layer. Maps of the same input are one.
pub(super) struct Layer {
    pub(super) attention_norm: CudaSlice<f32>,
    /// Queries, keys, values: `[q_width + 2·kv_width, hidden]`.
    pub(super) qkv: Matrix,
    pub(super) o: Matrix,
    pub(super) mlp_norm: CudaSlice<f32>,
    /// `[2·intermediate, hidden]`.
    pub(super) gate_up: Matrix,
    pub(super) down: Matrix,
}

impl Weights {
    /// Copies weights whose shapes have been checked.
    pub(super) fn upload(stream: &Arc<CudaStream>, weights: &weights::Weights) -> Result<Self> {
        let norm = |values: &Vec<f32>| stream.clone_htod(values).map_err(failed("cuMemcpyHtoDAsync"));
        let matrix = |parts: &[&weights::Matrix]| {
            let data: Vec<_> = parts.iter().flat_map(|m| &m.data).map(|&v| bf16::from_f32(v)).collect();
            let rows = parts.iter().map(|part| part.rows).sum();
            let data = stream.clone_htod(&data).map_err(failed("cuMemcpyHtoDAsync"))?;
            Ok(Matrix { rows, columns: parts[0].columns, data })
        };
        let layer = |layer: &weights::Layer| {
            Ok(Layer {
                attention_norm: norm(&layer.attention_norm)?,
                qkv: matrix(&[&layer.q, &layer.k, &layer.v])?,
                o: matrix(&[&layer.o])?,
                mlp_norm: norm(&layer.mlp_norm)?,
                gate_up: matrix(&[&layer.gate, &layer.up])?,
                down: matrix(&[&layer.down])?,
            })
        };
        Ok(Self {
            embedding: matrix(&[&weights.embedding])?,
            layers: weights.layers.iter().map(layer).collect::<Result<_>>()?,
            norm: norm(&weights.norm)?,
        })
    }
}

/// The keys and values of a layer, each `[kv_heads, capacity, head_dim]`.
pub(super) struct Cache {
    pub(super) k: CudaSlice<bf16>,
    pub(super) v: CudaSlice<bf16>,
}

/// What a step writes, for as many tokens as the cache has room for. The residual stream is f32; what matrix products and
/// attention read is bf16.
pub(super) struct Buffers {
    pub(super) tokens: CudaSlice<u32>,
    /// The residual stream, `[capacity, hidden]`.
    pub(super) x: CudaSlice<f32>,
    /// `[rows, hidden]`.
    pub(super) normed: CudaSlice<bf16>,
    /// `[capacity, heads + 2·kv_heads, head_dim]`.
    pub(super) qkv: CudaSlice<bf16>,
    /// `[capacity, heads, head_dim]`.
    pub(super) attended: CudaSlice<bf16>,
    /// `[rows, 2, intermediate]`.
    pub(super) gate_up: CudaSlice<bf16>,
    /// `[rows, intermediate]`.
    pub(super) gated: CudaSlice<bf16>,
    /// `[LOGIT_ROWS, vocab]`.
    pub(super) logits: CudaSlice<f32>,
    /// `[LOGIT_ROWS]`.
    pub(super) next: CudaSlice<u32>,
    /// Cosine and sine of each position and pair, `[capacity, head_dim/2, 2]`.
    pub(super) turns: CudaSlice<f32>,
}

impl Buffers {
    /// Buffers for `capacity` tokens, of which `rows` go through the linear layers at once.
    pub(super) fn new(
        stream: &Arc<CudaStream>,
        config: &Config,
        capacity: usize,
        rows: usize,
    ) -> Result<Self> {
        let failed = failed("cuMemAllocAsync");
        let f32s = |len| stream.alloc_zeros::<f32>(len).map_err(&failed);
        let bf16s = |len| stream.alloc_zeros::<bf16>(len).map_err(&failed);
        let u32s = |len| stream.alloc_zeros::<u32>(len).map_err(&failed);
        let rows = rows.max(LOGIT_ROWS).min(capacity);
        let qkv_width = config.q_width() + 2 * config.kv_width();
        Ok(Self {
            tokens: u32s(capacity)?,
            x: f32s(capacity * config.hidden)?,
            normed: bf16s(rows * config.hidden)?,
            qkv: bf16s(capacity * qkv_width)?,
            attended: bf16s(capacity * config.q_width())?,
            gate_up: bf16s(rows * 2 * config.intermediate)?,
            gated: bf16s(rows * config.intermediate)?,
            logits: f32s(LOGIT_ROWS * config.vocab)?,
            next: u32s(LOGIT_ROWS)?,
            turns: stream.clone_htod(&turns(config, capacity)).map_err(&failed)?,
        })
    }
}

/// A cache for each layer.
pub(super) fn caches(stream: &Arc<CudaStream>, config: &Config, capacity: usize) -> Result<Vec<Cache>> {
    let cache = |_| {
        let buffer = || stream.alloc_zeros(config.kv_width() * capacity).map_err(failed("cuMemAllocAsync"));
        Ok(Cache { k: buffer()?, v: buffer()? })
    };
    (0..config.layers).map(cache).collect()
}

/// Cosine and sine of `position · theta^(−2·pair/head_dim)`, computed in f64, `[capacity, head_dim/2, 2]`.
fn turns(config: &Config, capacity: usize) -> Vec<f32> {
    let frequency = |pair| config.rope_theta.powf(-2.0 * pair as f64 / config.head_dim as f64);
    let frequencies: Vec<f64> = (0..config.head_dim / 2).map(frequency).collect();
    let angles = (0..capacity).flat_map(|position| frequencies.iter().map(move |f| position as f64 * f));
    angles.flat_map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect()
}
