//! The configuration of one kernel, after defaults and presets are resolved.

use core::fmt;

/// Everything that `#[proxy_attention(…)]` decides.
///
/// A `Spec` is a plain value: the macro builds one as a constant, and every backend reads it. It contains no shapes except
/// the head counts that the user fixed (`heads`, `kv_heads`), and no tile sizes, which depend on the machine.
/// [`Spec::violations`] lists what is wrong with it.
///
/// Symbols: a *token* is a row of Q or K, a *block* a run of `block.q` query tokens or `block.kv` key
/// tokens, a *group* the contiguous KV heads (with all their query heads) that share one proxy head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Width of one head: 64, 96, 128 or 256.
    pub head_dim: u32,
    /// Tokens in a block, along queries and along keys: each 32, 64 or 128.
    pub block: Block,
    /// Proxy heads; `None` is one per KV head. Must divide the KV heads.
    pub groups: Option<u32>,
    /// Query heads, if fixed at compile time.
    pub heads: Option<u32>,
    /// Key/value heads, if fixed at compile time.
    pub kv_heads: Option<u32>,
    /// Windows of the scorer, which uses the first token of each.
    pub stride: Stride,
    /// Element type of Q, K, V and the output.
    pub dtype: Dtype,
    /// Whether a query sees only keys at its own position and before.
    pub causal: bool,
    /// Softmax scale; `None` is `1/√head_dim`.
    pub scale: Option<f64>,
    /// How blocks are scored.
    pub scorer: Scorer,
    /// How many blocks each head of each row may visit.
    pub budget: Budget,
    /// Blocks that are kept regardless of score, within the budget. The diagonal is always kept.
    pub keep: Keep,
    /// GPU families that the kernel is generated for.
    pub arch: ArchSet,
}

/// Tokens in a block: `block = 64`, or `block(q = 128, kv = 64)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// Query tokens that share one list of key blocks.
    pub q: u32,
    /// Key tokens that are kept or dropped together.
    pub kv: u32,
}

/// Sampling windows of the scorer: `stride(q = 4, kv = 1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stride {
    /// Of each window of `q` query tokens, the first is scored.
    pub q: u32,
    /// Of each window of `kv` key tokens, the first is scored.
    pub kv: u32,
}

/// Blocks that are kept regardless of score: `keep(sink = 1, local = 0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Keep {
    /// The first `sink` key blocks.
    pub sink: u32,
    /// The `local` key blocks before the diagonal one.
    pub local: u32,
}

/// Element types of Q, K, V and the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// bfloat16.
    Bf16,
    /// IEEE binary16.
    F16,
}

/// How blocks are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scorer {
    /// Token-level softmax of a group's mean query against its mean key, max-pooled over the block
    /// (ProxyAttn, arXiv 2509.24745).
    Proxy,
}

/// How many key blocks a query head may visit in a block row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// The fewest blocks that hold `gamma` of the softmax mass of the head's own last queries
    /// (ProxyAttn, Algorithm 1), and at least `min_tokens` worth of blocks.
    Dynamic {
        /// [Share](crate::Share) of the mass, in (0, 1], to the nearest millionth.
        gamma: f64,
        /// The minimum budget of every row, in tokens.
        min_tokens: u32,
        /// How the count of the last row carries over to the others.
        rows: Rows,
    },
    /// The same count in every row.
    TopK {
        /// Blocks per row.
        blocks: u32,
    },
    /// A share of the blocks that the row can see, rounded up.
    Ratio {
        /// [Share](crate::Share), in (0, 1], to the nearest millionth.
        share: f64,
    },
    /// Every block: dense attention.
    All,
}

/// How a dynamic budget, measured on the last row of blocks, applies to the other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// The same share of each row's visible blocks, rounded up.
    Ratio,
    /// The same count for every row: the paper's literal reading.
    Absolute,
}

/// GPU families that CUDA source is generated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// `mma.sync` and `cp.async`: Ampere and later.
    Sm80,
    /// TMA, `wgmma` and warp specialisation: Hopper only.
    Sm90a,
}

/// A set of [`Arch`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArchSet {
    /// Ampere and later.
    pub sm_80: bool,
    /// Hopper.
    pub sm_90a: bool,
}

impl Spec {
    /// `#[proxy_attention]` without any key: the setting that measured best on retrieval tasks at a fifth of the blocks.
    pub const DEFAULT: Spec = Spec {
        head_dim: 128,
        block: Block { q: 64, kv: 64 },
        groups: None,
        heads: None,
        kv_heads: None,
        stride: Stride { q: 4, kv: 1 },
        dtype: Dtype::Bf16,
        causal: true,
        scale: None,
        scorer: Scorer::Proxy,
        budget: Budget::Dynamic { gamma: 0.9, min_tokens: 512, rows: Rows::Ratio },
        keep: Keep { sink: 1, local: 0 },
        arch: ArchSet { sm_80: true, sm_90a: true },
    };

    /// `preset = paper`: stride 4 in both directions, γ = 0.95, at least 2048 tokens, absolute rows
    /// (arXiv 2509.24745; the paper leaves the block size open, so the default one stays).
    pub const PAPER: Spec = Spec {
        stride: Stride { q: 4, kv: 4 },
        budget: Budget::Dynamic { gamma: 0.95, min_tokens: 2048, rows: Rows::Absolute },
        ..Spec::DEFAULT
    };

    /// The factor on `q·k` before the softmax: the declared one, or `1/√head_dim`.
    pub fn softmax_scale(&self) -> f64 {
        self.scale.unwrap_or_else(|| 1.0 / f64::from(self.head_dim).sqrt())
    }

    /// The factor on `q·k` for base-2 softmax, which the kernels use, as an f32.
    pub fn softmax_scale_log2(&self) -> f32 {
        (self.softmax_scale() * core::f64::consts::LOG2_E) as f32
    }

    /// Whether every block is visited, so that nothing has to be scored or selected.
    pub const fn is_dense(&self) -> bool {
        matches!(self.budget, Budget::All)
    }

    /// Key blocks that a block-aligned causal row keeps regardless of score: sink, local and diagonal.
    pub const fn pinned_blocks(&self) -> u64 {
        let diagonal = self.block.q.div_ceil(self.block.kv) as u64;
        self.keep.sink as u64 + self.keep.local as u64 + diagonal
    }
}

impl Default for Spec {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Dtype {
    /// Every element type, in the order of the documentation.
    pub const ALL: &'static [Dtype] = &[Dtype::Bf16, Dtype::F16];

    /// The name in the attribute: `bf16` or `f16`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dtype::Bf16 => "bf16",
            Dtype::F16 => "f16",
        }
    }

    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        2
    }
}

impl Scorer {
    /// Every scorer, in the order of the documentation.
    pub const ALL: &'static [Scorer] = &[Scorer::Proxy];
}

impl Arch {
    /// Every architecture, in the order of the documentation.
    pub const ALL: &'static [Arch] = &[Arch::Sm80, Arch::Sm90a];

    /// The name in the attribute and for the compiler: `sm_80` or `sm_90a`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Arch::Sm80 => "sm_80",
            Arch::Sm90a => "sm_90a",
        }
    }
}

impl ArchSet {
    /// No architecture: only the CPU backend.
    pub const NONE: ArchSet = ArchSet { sm_80: false, sm_90a: false };

    /// Whether `arch` is in the set.
    pub const fn contains(self, arch: Arch) -> bool {
        match arch {
            Arch::Sm80 => self.sm_80,
            Arch::Sm90a => self.sm_90a,
        }
    }

    /// The set with `arch` added.
    #[must_use]
    pub const fn with(mut self, arch: Arch) -> Self {
        match arch {
            Arch::Sm80 => self.sm_80 = true,
            Arch::Sm90a => self.sm_90a = true,
        }
        self
    }

    /// Its members, oldest first.
    pub fn iter(self) -> impl Iterator<Item = Arch> {
        Arch::ALL.iter().copied().filter(move |&arch| self.contains(arch))
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scorer::Proxy => f.write_str("proxy"),
        }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rows::Ratio => "ratio",
            Rows::Absolute => "absolute",
        })
    }
}

/// As the attribute spells it: `dynamic(gamma = 0.9, min_tokens = 512, rows = ratio)`.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Budget::Dynamic { gamma, min_tokens, rows } => {
                write!(f, "dynamic(gamma = {gamma}, min_tokens = {min_tokens}, rows = {rows})")
            }
            Budget::TopK { blocks } => write!(f, "top_k(blocks = {blocks})"),
            Budget::Ratio { share } => write!(f, "ratio({share})"),
            Budget::All => f.write_str("all"),
        }
    }
}

impl fmt::Display for ArchSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Arch::as_str).collect();
        f.write_str(&names.join(", "))
    }
}
