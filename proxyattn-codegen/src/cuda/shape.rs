//! The shape of one call, and what is sized by it.

use super::kernels::BLOCKS_PER_CTA;
use super::sources::Family;
use crate::Spec;

/// Codes of `maxima` to each unit of log2: two scores that differ by more than a 64th have different codes, and 65536 of
/// them reach 1024 units down.
pub const CODES_PER_LOG2: f32 = 64.0;

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
    /// Key tokens; at least `q_len` with causal attention.
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

    /// Sampled keys of one unit of the scoring pass on Hopper: there shall be some thousands of units, so that they fill
    /// a GPU evenly, and none so short that it is over before it is under way.
    pub fn segment_keys(&self, spec: &Spec) -> u64 {
        let tiles = self.batch * self.groups(spec) * self.q_samples(spec).div_ceil(256);
        let wanted = tiles * self.kv_samples(spec) / if spec.causal { 2 } else { 1 } / 4096;
        wanted.next_power_of_two().clamp(512, 8192)
    }

    /// How many of them there are along the keys.
    pub fn segments(&self, spec: &Spec) -> u64 {
        self.kv_samples(spec).div_ceil(self.segment_keys(spec))
    }

    /// How a kernel's four-byte parameter of that name follows from the shape.
    pub fn value(name: &str) -> Option<fn(&Shape, &Spec) -> u64> {
        Some(match name {
            "q_len" => |shape, _| shape.q_len,
            "kv_len" => |shape, _| shape.kv_len,
            "rows" => |shape, spec| shape.rows(spec),
            "blocks" => |shape, spec| shape.blocks(spec),
            "batch" => |shape, _| shape.batch,
            "heads" => |shape, _| shape.heads,
            "kv_heads" => |shape, _| shape.kv_heads,
            "groups" => |shape, spec| shape.groups(spec),
            "heads_per_kv" => |shape, _| shape.heads_per_kv(),
            "heads_per_group" => |shape, spec| shape.heads / shape.groups(spec),
            "kv_heads_per_group" => |shape, spec| shape.kv_heads / shape.groups(spec),
            "q_samples" => |shape, spec| shape.q_samples(spec),
            "kv_samples" => |shape, spec| shape.kv_samples(spec),
            "segment_keys" => |shape, spec| shape.segment_keys(spec),
            "segments" => |shape, spec| shape.segments(spec),
            "blocks_per_cta" => |_, _| BLOCKS_PER_CTA,
            _ => return None,
        })
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
    /// Element type: `u16`, `f32` or `u32`; `elem` is the 16-bit type of the configuration.
    pub elem: &'static str,
    /// Dimensions, in the names of [`Shape`]'s and the text's values.
    pub dims: &'static [&'static str],
    /// What it holds.
    pub holds: &'static str,
}

impl Buffer {
    /// What a workspace, and each buffer in it, begins on a multiple of, in bytes.
    pub const ALIGNMENT: u64 = 256;

    /// Bytes for a shape; `u64::MAX` where 64 bits do not hold them.
    ///
    /// # Panics
    /// If the table of buffers names a dimension that does not exist, which a test rules out.
    pub fn bytes(&self, spec: &Spec, shape: &Shape) -> u64 {
        let elem = match self.elem {
            "elem" => spec.dtype.bytes() as u64,
            "u16" => 2,
            _ => 4,
        };
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
            "segments" => shape.segments(spec),
            "SAMPLES_Q" => (spec.block.q / spec.stride.q).into(),
            other => panic!("no dimension is called `{other}`"),
        };
        self.dims.iter().map(dim).fold(elem, u64::saturating_mul)
    }
}

macro_rules! buffer {
    ($name:literal, $elem:literal, [$($dim:literal),*], $holds:literal) => {
        Buffer { name: $name, elem: $elem, dims: &[$($dim),*], holds: $holds }
    };
}

const PROXY_Q: Buffer =
    buffer!("proxy_q", "elem", ["batch", "groups", "q_samples", "HEAD_DIM"], "mean query of a group");
const PROXY_K: Buffer =
    buffer!("proxy_k", "elem", ["batch", "groups", "kv_samples", "HEAD_DIM"], "mean key of a group");
const MAXIMA: Buffer = buffer!(
    "maxima",
    "u16",
    ["batch", "groups", "rows", "blocks", "SAMPLES_Q"],
    "largest score of a (sample, block): 64ths of log2 above the sample's floor"
);
const FLOORS: Buffer =
    buffer!("floors", "f32", ["batch", "groups", "rows", "SAMPLES_Q"], "score of code 0 of a sample, base 2");
const FLOOR_PARTS: Buffer = buffer!(
    "floors",
    "f32",
    ["batch", "groups", "rows", "segments", "SAMPLES_Q"],
    "score of code 0 of a sample in a segment, base 2"
);
const LSE: Buffer =
    buffer!("lse", "f32", ["batch", "groups", "rows", "SAMPLES_Q"], "log2 of the sum over a sample's keys");
const LSE_PARTS: Buffer = buffer!(
    "lse",
    "f32",
    ["batch", "groups", "rows", "segments", "SAMPLES_Q"],
    "log2 of the sum over a sample's keys of a segment"
);
const PARTIAL_MAX: Buffer = buffer!(
    "partial_max",
    "f32",
    ["batch", "heads", "blocks", "BLOCK_Q"],
    "a score near the largest of a (last query, block), base 2"
);
const PARTIAL_SUM: Buffer =
    buffer!("partial_sum", "f32", ["batch", "heads", "blocks", "BLOCK_Q"], "sum under that score");
const MEASURED: Buffer = buffer!("measured", "u32", ["batch", "heads"], "blocks that hold gamma of the mass");
const LISTS: Buffer = buffer!("lists", "u32", ["batch", "groups", "rows", "blocks"], "blocks to visit");
const COUNTS: Buffer =
    buffer!("counts", "u32", ["batch", "heads", "rows"], "how much of the group's list a head visits");
const RUNS: Buffer = buffer!(
    "runs",
    "u32",
    ["batch", "groups", "rows"],
    "length of the list's first ascending run: the smallest count"
);

const UNITS: Buffer = buffer!("units", "u32", [], "units of score that are taken");
const TICKETS: Buffer = buffer!("tickets", "u32", [], "tiles that are taken; zero at first");

/// The buffers of a configuration, in the order in which they are written.
pub(super) fn buffers(spec: &Spec, family: Family) -> Vec<Buffer> {
    let tickets = (family.attend || family.dense).then_some(TICKETS);
    if spec.is_dense() {
        return tickets.into_iter().collect();
    }
    let dynamic = matches!(spec.budget, crate::Budget::Dynamic { .. });
    let mut buffers = vec![PROXY_Q];
    buffers.extend(super::features::pools_keys(spec).then_some(PROXY_K));
    buffers.push(MAXIMA);
    buffers.extend(if family.score { [FLOOR_PARTS, LSE_PARTS] } else { [FLOORS, LSE] });
    buffers.extend(family.score.then_some(UNITS));
    if dynamic {
        buffers.extend([PARTIAL_MAX, PARTIAL_SUM, MEASURED]);
    }
    buffers.extend([LISTS, COUNTS]);
    buffers.extend(dynamic.then_some(RUNS));
    buffers.extend(tickets);
    buffers
}
