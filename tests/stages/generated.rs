//! Inputs that are generated: queries, keys and values, and what a layer brings.

use crate::harness::{Memory, Place};
use proxyattn::HeadSpan;
use proxyattn::codegen::cuda::{Keys, Shape, Tensor};
use proxyattn::codegen::{Dtype, OfLayer, Share, Spec};
use proxyattn::prelude::{bf16, f16};

/// A generator that is its own source: the numbers must not change with a dependency.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64 * 2.0 - 1.0
    }

    /// Elements of `[batch, tokens, heads, dim]`. Heads lean on a direction of their own for each stretch of tokens, so
    /// that blocks differ in mass; with `sharpen`, each head more than the one before, so that budgets differ.
    fn tensor(&mut self, spec: &Spec, batch: u64, tokens: u64, heads: u64, sharpen: bool) -> Vec<u8> {
        let dim = u64::from(spec.head_dim);
        let mut bytes = Vec::new();
        for i in 0..batch * tokens * heads * dim {
            let token = i / dim / heads % tokens;
            let lean = ((token / 32 * 7 + i % dim * 3) % 11) as f64 / 11.0 - 0.5;
            let sharpness = if sharpen { 0.5 + (i / dim % heads) as f64 } else { 1.0 };
            let value = (self.next() * 1.2 + lean * 1.5) * sharpness;
            let bits = match spec.dtype {
                Dtype::F16 => f16::from_f64(value).to_bits(),
                Dtype::Bf16 => bf16::from_f64(value).to_bits(),
            };
            bytes.extend(bits.to_le_bytes());
        }
        bytes
    }
}

/// What lies between kernels and has strides.
pub(crate) const PROXIES: [Tensor; 6] = [
    Tensor::ProxyQ,
    Tensor::ProxyQ8,
    Tensor::Keys(Keys::Pooled),
    Tensor::Keys(Keys::Pooled8),
    Tensor::StridedQ,
    Tensor::StridedK,
];

pub(crate) fn inputs_of(spec: &Spec, shape: &Shape, seed: u64) -> Memory {
    let mut random = Random(seed);
    let mut memory = Memory::default();
    let dim = i64::from(spec.head_dim);
    for tensor in [Tensor::Q, Tensor::K, Tensor::V, Tensor::Out] {
        let [heads, tokens] = tensor.extents().map(|extent| extent.of(spec, shape));
        let token_stride = heads as i64 * dim;
        memory.strides.insert(tensor, [tokens as i64 * token_stride, dim, token_stride]);
        let data = random.tensor(spec, shape.batch, tokens, heads, tensor == Tensor::Q);
        if tensor == Tensor::Out {
            memory.put(Place::OutDense, vec![0xff; data.len()]);
            memory.put(tensor, vec![0xff; data.len()]);
        } else {
            memory.put(tensor, data);
        }
    }
    let packed = |tensor: Tensor| {
        let [heads, samples] = tensor.extents().map(|extent| extent.of(spec, shape) as i64);
        [heads * samples * dim, samples * dim, dim]
    };
    if let Some(of_layer) = spec.budget.of_layer() {
        // In the same millionths as a loaded layer.
        let layer = proxyattn_oracle::layer(spec.budget, shape.heads as usize);
        let words: Vec<u32> = match of_layer {
            OfLayer::Shares(share) => {
                layer.weights().iter().map(|weight| Share::of(share * weight).millionths()).collect()
            }
            OfLayer::Spans => {
                let of_head = |span: &HeadSpan| [span.alpha as u32, Share::of(span.beta).millionths()];
                layer.spans().iter().flat_map(of_head).collect()
            }
        };
        memory.put(of_layer.scratch(), words.into_iter().flat_map(u32::to_le_bytes).collect());
    }
    let [batch, head, token] = memory.strides[&Tensor::K];
    memory.strides.extend(
        [Tensor::Keys(Keys::Sampled), Tensor::Windows, Tensor::FullWindows]
            .map(|tensor| (tensor, [batch, head, token * i64::from(spec.sample_window().kv)])),
    );
    memory.strides.extend(PROXIES.map(|tensor| (tensor, packed(tensor))));
    memory
}

/// What becomes of an input's elements before they are used.
pub(crate) type Changes<'a> = &'a [(Tensor, fn(f64) -> f64)];

pub(crate) fn change(spec: &Spec, memory: &mut Memory, changes: Changes<'_>) {
    for &(tensor, to) in changes {
        let halves = memory.halves(tensor).into_iter().map(|bits| match spec.dtype {
            Dtype::F16 => f16::from_f64(to(f16::from_bits(bits).to_f64())).to_bits(),
            Dtype::Bf16 => bf16::from_f64(to(bf16::from_bits(bits).to_f64())).to_bits(),
        });
        memory.put(tensor, halves.flat_map(u16::to_le_bytes).collect());
    }
}
