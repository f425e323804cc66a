//! The shape of one call, and what is sized by it.

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
        self.q_len.div_ceil(spec.stride.q.into())
    }

    /// Sampled keys.
    pub fn kv_samples(&self, spec: &Spec) -> u64 {
        self.kv_len.div_ceil(spec.stride.kv.into())
    }

    /// Query heads to a KV head.
    pub fn heads_per_kv(&self) -> u64 {
        self.heads / self.kv_heads
    }
}

/// A buffer between kernels, allocated once for the largest shape that will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The parameter that points at it.
    pub name: &'static str,
    /// Element type: `elem` is the 16-bit type of the configuration.
    pub elem: &'static str,
    /// Dimensions, in the names of [`Shape`]'s and the text's values.
    pub dims: &'static [&'static str],
    /// What it holds.
    pub holds: &'static str,
}

impl Buffer {
    /// Bytes for a shape.
    ///
    /// # Panics
    /// If the table of buffers names a dimension that does not exist, which a test rules out.
    pub fn bytes(&self, spec: &Spec, shape: &Shape) -> u64 {
        let elem = if self.elem == "elem" { spec.dtype.bytes() as u64 } else { 4 };
        let dim = |name: &&str| match *name {
            "batch" => shape.batch,
            "heads" => shape.heads,
            "groups" => shape.groups(spec),
            "rows" => shape.rows(spec),
            "blocks" => shape.blocks(spec),
            "q_samples" => shape.q_samples(spec),
            "kv_samples" => shape.kv_samples(spec),
            "HEAD_DIM" => spec.head_dim.into(),
            "BLOCK_Q" => spec.block.q.into(),
            "SAMPLES_Q" => (spec.block.q / spec.stride.q).into(),
            other => panic!("no dimension is called `{other}`"),
        };
        self.dims.iter().map(dim).product::<u64>() * elem
    }
}

macro_rules! buffer {
    ($name:literal, $elem:literal, [$($dim:literal),+], $holds:literal) => {
        Buffer { name: $name, elem: $elem, dims: &[$($dim),+], holds: $holds }
    };
}

const PROXY_Q: Buffer =
    buffer!("proxy_q", "elem", ["batch", "groups", "q_samples", "HEAD_DIM"], "mean query of a group");
const PROXY_K: Buffer =
    buffer!("proxy_k", "elem", ["batch", "groups", "kv_samples", "HEAD_DIM"], "mean key of a group");
const MAXIMA: Buffer = buffer!(
    "maxima",
    "f32",
    ["batch", "groups", "rows", "blocks", "SAMPLES_Q"],
    "largest score of a (sample, block), base 2"
);
const LSE: Buffer =
    buffer!("lse", "f32", ["batch", "groups", "rows", "SAMPLES_Q"], "log2 of the sum over a sample's keys");
const PARTIAL_MAX: Buffer = buffer!(
    "partial_max",
    "f32",
    ["batch", "heads", "blocks", "BLOCK_Q"],
    "largest score of a (last query, block)"
);
const PARTIAL_SUM: Buffer =
    buffer!("partial_sum", "f32", ["batch", "heads", "blocks", "BLOCK_Q"], "sum under that maximum");
const MASSES: Buffer = buffer!("masses", "u32", ["batch", "heads", "blocks"], "share of the mass, in 2^-32");
const MEASURED: Buffer = buffer!("measured", "u32", ["batch", "heads"], "blocks that hold GAMMA of the mass");
const LISTS: Buffer = buffer!("lists", "u32", ["batch", "groups", "rows", "blocks"], "blocks to visit");
const COUNTS: Buffer =
    buffer!("counts", "u32", ["batch", "heads", "rows"], "how much of the group's list a head visits");
const RUNS: Buffer = buffer!(
    "runs",
    "u32",
    ["batch", "groups", "rows"],
    "length of the list's first ascending run: the smallest count"
);

/// The buffers of a configuration, in the order in which they are written.
pub(super) fn buffers(spec: &Spec) -> Vec<Buffer> {
    if spec.is_dense() {
        return Vec::new();
    }
    let dynamic = matches!(spec.budget, crate::Budget::Dynamic { .. });
    let mut buffers = vec![PROXY_Q];
    buffers.extend(super::features::pools_keys(spec).then_some(PROXY_K));
    buffers.extend([MAXIMA, LSE]);
    if dynamic {
        buffers.extend([PARTIAL_MAX, PARTIAL_SUM, MASSES, MEASURED]);
    }
    buffers.extend([LISTS, COUNTS]);
    buffers.extend(dynamic.then_some(RUNS));
    buffers
}
