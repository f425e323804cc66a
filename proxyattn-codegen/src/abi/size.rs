//! Numbers that no GPU decides.

use crate::Spec;
use crate::geometry::Shape;
use core::fmt;

named! {
    /// A number that follows from the shape and the configuration. Every one may be a kernel's parameter.
    pub enum Scalar {
        /// Query tokens.
        QLen = "q_len",
        /// Key tokens.
        KvLen = "kv_len",
        /// Rows of blocks along the queries.
        Rows = "rows",
        /// Blocks along the keys.
        Blocks = "blocks",
        /// Sequences.
        Batch = "batch",
        /// Query heads.
        Heads = "heads",
        /// KV heads.
        KvHeads = "kv_heads",
        /// Proxy heads.
        Groups = "groups",
        /// Strided parts of all groups: tokens at so many offsets into their windows.
        Parts = "parts",
        /// Query heads to a KV head.
        HeadsPerKv = "heads_per_kv",
        /// Query heads to a group.
        HeadsPerGroup = "heads_per_group",
        /// KV heads to a group.
        KvHeadsPerGroup = "kv_heads_per_group",
        /// Sampled queries.
        QSamples = "q_samples",
        /// Sampled keys.
        KvSamples = "kv_samples",
        /// Windows of keys that are full, or 1 where there is none.
        FullWindows = "full_windows",
        /// Sampled keys of a unit of the scoring pass.
        SegmentKeys = "segment_keys",
        /// Such units along the keys.
        Segments = "segments",
        /// Blocks of one CTA of the budget's portable pass over the keys.
        BlocksPerCta = "blocks_per_cta",
    }
}

impl Scalar {
    /// Its value for a shape.
    pub fn of(self, spec: &Spec, shape: &Shape) -> u64 {
        match self {
            Scalar::QLen => shape.q_len,
            Scalar::KvLen => shape.kv_len,
            Scalar::Rows => shape.rows(spec),
            Scalar::Blocks => shape.blocks(spec),
            Scalar::Batch => shape.batch,
            Scalar::Heads => shape.heads,
            Scalar::KvHeads => shape.kv_heads,
            Scalar::Groups => shape.groups(spec),
            Scalar::Parts => shape.groups(spec) * u64::from(spec.sample_window().kv),
            Scalar::HeadsPerKv => shape.heads_per_kv(),
            Scalar::HeadsPerGroup => shape.heads / shape.groups(spec),
            Scalar::KvHeadsPerGroup => shape.kv_heads / shape.groups(spec),
            Scalar::QSamples => shape.q_samples(spec),
            Scalar::KvSamples => shape.kv_samples(spec),
            Scalar::FullWindows => (shape.kv_len / u64::from(spec.sample_window().kv)).max(1),
            Scalar::SegmentKeys => shape.segment_keys(spec),
            Scalar::Segments => shape.segments(spec),
            Scalar::BlocksPerCta => Shape::BLOCKS_PER_CTA,
        }
    }
}

named! {
    /// A constant of the text that sizes speak of.
    pub enum Macro {
        /// Elements of a head's row.
        HeadDim = "HEAD_DIM",
        /// Query tokens of a block.
        BlockQ = "BLOCK_Q",
        /// Sampled queries of a block.
        SamplesQ = "SAMPLES_Q",
        /// Threads of a CTA that computes means.
        PoolThreads = "POOL_THREADS",
        /// Rows of a CTA of the portable scoring passes.
        ScoringRows = "SCORING_ROWS",
        /// Rows of a warpgroup.
        WgRows = "WG_ROWS",
        /// Query heads of a portable tile.
        TileHeads = "TILE_HEADS",
        /// Queries of each of them.
        TileRows = "TILE_ROWS",
        /// Query heads that share the keys of a CTA on Hopper.
        PackHeads = "PACK_HEADS",
        /// Consumer warpgroups of attention on Hopper.
        Warpgroups = "WARPGROUPS",
        /// Keys of a stage on Hopper.
        StageKeys = "STAGE_KEYS",
        /// Consumer warpgroups of the scoring passes on Hopper.
        ScoreWarpgroups = "SCORE_WARPGROUPS",
    }
}

/// A number that no GPU decides: a dimension of a buffer, or a part of an [`Expr`](super::Expr).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// Itself.
    Number(u64),
    /// What follows from the shape.
    Scalar(Scalar),
    /// A constant of the text, with its value.
    Macro(Macro, u32),
}

impl Size {
    /// Its value for a shape.
    pub fn of(self, spec: &Spec, shape: &Shape) -> u64 {
        match self {
            Size::Number(number) => number,
            Size::Scalar(scalar) => scalar.of(spec, shape),
            Size::Macro(_, value) => value.into(),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Number(number) => number.fmt(f),
            Size::Scalar(scalar) => scalar.fmt(f),
            Size::Macro(name, _) => name.fmt(f),
        }
    }
}

impl From<u32> for Size {
    fn from(number: u32) -> Self {
        Size::Number(number.into())
    }
}

impl From<Scalar> for Size {
    fn from(scalar: Scalar) -> Self {
        Size::Scalar(scalar)
    }
}
