//! The shape of one call.

use crate::Spec;

/// The numbers of one prefill; every buffer and grid follows from them and the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Sequences.
    pub batch: u64,
    /// Query heads.
    pub heads: u64,
    /// KV heads.
    pub kv_heads: u64,
    /// Query tokens.
    pub q_len: u64,
    /// Key tokens, at least `q_len`.
    pub kv_len: u64,
}

impl Shape {
    /// One token of one head.
    pub const SMALLEST: Shape = Shape { batch: 1, heads: 1, kv_heads: 1, q_len: 1, kv_len: 1 };
    /// Blocks of one CTA of the budget's portable pass over the keys: long enough to hide how it starts.
    pub const BLOCKS_PER_CTA: u64 = 16;

    /// Rows of blocks along the queries.
    pub fn rows(&self, spec: &Spec) -> u64 {
        self.q_len.div_ceil(spec.block.q.into())
    }

    /// Blocks along the keys.
    pub fn blocks(&self, spec: &Spec) -> u64 {
        self.kv_len.div_ceil(spec.block.kv.into())
    }

    /// Proxy heads.
    pub fn groups(&self, spec: &Spec) -> u64 {
        spec.groups.map_or(self.kv_heads, u64::from)
    }

    /// Sampled queries.
    pub fn q_samples(&self, spec: &Spec) -> u64 {
        self.q_len.div_ceil(spec.sample_window().q.into())
    }

    /// Sampled keys.
    pub fn kv_samples(&self, spec: &Spec) -> u64 {
        self.kv_len.div_ceil(spec.sample_window().kv.into())
    }

    /// Sampled keys of one work unit of the scoring pass on Hopper, a power of two: a few thousand units fill a GPU evenly,
    /// and each is long enough to amortise its prologue.
    pub fn segment_keys(&self, spec: &Spec) -> u64 {
        let tiles = self.batch * self.groups(spec) * self.q_samples(spec).div_ceil(256);
        let wanted = tiles * self.kv_samples(spec) / if spec.causal { 2 } else { 1 } / 4096;
        wanted.next_power_of_two().clamp(512, 8192)
    }

    /// How many of them there are along the keys.
    pub fn segments(&self, spec: &Spec) -> u64 {
        self.kv_samples(spec).div_ceil(self.segment_keys(spec))
    }

    /// Query heads to a KV head.
    pub fn heads_per_kv(&self) -> u64 {
        self.heads / self.kv_heads
    }
}
