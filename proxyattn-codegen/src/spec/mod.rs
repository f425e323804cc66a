//! The configuration of one kernel, after defaults and presets are resolved.

mod attribute;
mod key;
mod rules;
mod share;

pub use key::Key;
pub(crate) use rules::MAX_COUNT;
pub use rules::{RULES, Rule, Violation};
pub use share::Share;

use crate::{ArchSet, Budget, Dynamic, Proxy, Scorer};
use core::fmt;

/// Everything that `#[proxy_attention(…)]` decides.
///
/// A `Spec` is a plain value: the macro builds one as a constant, and every backend reads it. It contains no shapes except
/// the head counts that the user fixed (`heads`, `kv_heads`), and no tile sizes, which depend on the machine.
/// [`Spec::violations`] lists what is wrong with it.
///
/// Symbols: a *token* is a row of Q or K, a *block* a run of `block.q` query tokens or `block.kv` key
/// tokens, a *group* the contiguous KV heads (with all their query heads) that share one proxy head.
///
/// ```
/// use proxyattn_codegen::{Arch, ArchSet, Block, Budget, Dtype, Dynamic, Keep, Key, Order, Precision, Proxy, Rows};
/// use proxyattn_codegen::{Pools, Rule, Scorer, Share, Spec, Stride, Sums, Violation, Weigh};
///
/// // #[proxy_attention(head_dim = 64)], with every default written out.
/// let spec = Spec {
///     head_dim: 64,
///     block: Block { q: 64, kv: 64 },
///     groups: None,
///     heads: None,
///     kv_heads: None,
///     stride: Stride { q: 4, kv: 1 },
///     dtype: Dtype::Bf16,
///     causal: true,
///     scale: None,
///     scorer: Scorer::Proxy(Proxy { sums: Sums::Maxima, scores: Precision::E4m3, pool: Pools::Max }),
///     budget: Budget::Dynamic(Dynamic {
///         gamma: 0.6,
///         min_tokens: 512,
///         rows: Rows::Ratio,
///         order: Order::List,
///         weigh: Weigh::Values,
///     }),
///     keep: Keep { sink: 1, local: 0 },
///     arch: ArchSet::of(&[Arch::Sm80, Arch::Sm90a]),
/// };
/// assert_eq!(spec, Spec { head_dim: 64, ..Spec::DEFAULT });
/// assert_eq!(spec.attribute(), "head_dim = 64");
/// assert_eq!(Share::of(0.07).of_count(100), 7);
///
/// // What the attribute reports at compile time.
/// let broken = Spec { stride: Stride { q: 5, kv: 1 }, ..spec };
/// let [Violation { rule, key, .. }] = &broken.violations()[..] else { panic!("one rule is broken") };
/// assert_eq!((*rule, *key), (Rule::StrideQ, Key::StrideQ));
/// ```
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
    /// How blocks are scored; each kind is a struct of its parts, and says its formula.
    pub scorer: Scorer,
    /// How many blocks each head of each row may visit; each kind is a struct of its parts, and says its formula.
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

impl Spec {
    /// `#[proxy_attention]` without any key: full attention's answers to retrieval tasks at 16384 tokens, within 0.01, for a
    /// tenth of the blocks (`docs/accuracy.md`).
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
        scorer: Scorer::Proxy(Proxy::DEFAULT),
        budget: Budget::Dynamic(Dynamic::DEFAULT),
        keep: Keep { sink: 1, local: 0 },
        arch: ArchSet::ALL,
    };

    /// `preset = paper`: stride 4 in both directions, [`Proxy::PAPER`] and [`Dynamic::PAPER`] (arXiv 2509.24745; the paper
    /// leaves the block size open, so the default one stays).
    pub const PAPER: Spec = Spec {
        stride: Stride { q: 4, kv: 4 },
        scorer: Scorer::Proxy(Proxy::PAPER),
        budget: Budget::Dynamic(Dynamic::PAPER),
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

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
