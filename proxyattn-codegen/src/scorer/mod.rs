//! Scorers: how blocks are scored. A scorer is a variant of [`Scorer`], a line of each `match` below, and a folder, which
//! states its syntax and implements the contract.

pub(crate) mod proxy;

pub use proxy::{Precision, Proxy, Sums};

use crate::arch::HopperTiles;
use crate::pipeline::{Cx, Part};
use crate::syntax::{self, Choice, Kind};
use crate::{Block, Key, Spec, Stride};
use core::fmt;

/// How blocks are scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scorer {
    /// Token-level softmax of a group's mean query against its mean key, max-pooled over the block
    /// (ProxyAttn, arXiv 2509.24745).
    Proxy(Proxy),
}

/// What a scorer is, to everything that comes after it.
///
/// It leaves to `select`, for each (group, row of blocks), the largest score of each of the row's samples in each block, as
/// a code above the sample's floor, and what the sample's scores sum to: [`Scratch::Maxima`], [`Scratch::Floors`] and
/// [`Scratch::Lse`].
///
/// [`Scratch::Maxima`]: crate::abi::Scratch::Maxima
/// [`Scratch::Floors`]: crate::abi::Scratch::Floors
/// [`Scratch::Lse`]: crate::abi::Scratch::Lse
pub(crate) trait Contract: Kind {
    /// Query and key tokens that one sample stands for, the first of which is its position; each divides the block.
    fn window(&self, spec: &Spec) -> Stride;

    /// Whether there is a Hopper kernel for its pass over the keys.
    fn on_hopper(&self, spec: &Spec, tiles: &HopperTiles) -> bool;

    /// Its kernels, buffers, sections and constants.
    fn part(&self, cx: &Cx<'_>) -> Part;
}

impl Spec {
    /// Query and key tokens that one sample of the scorer stands for.
    pub fn sample_window(&self) -> Stride {
        self.scorer.contract(|scorer| scorer.window(self))
    }

    /// Samples of a block: along the queries, and along the keys.
    pub fn block_samples(&self) -> Block {
        let window = self.sample_window();
        Block { q: self.block.q / window.q, kv: self.block.kv / window.kv }
    }
}

impl Scorer {
    /// The scorer itself: with [`is_valid`](Self::is_valid), the one place that tells scorers apart.
    fn each<R>(&mut self, ask: impl FnOnce(&mut dyn Contract) -> R) -> R {
        match self {
            Scorer::Proxy(proxy) => ask(proxy),
        }
    }

    /// Whether the scorer satisfies its own rules in `spec`.
    pub(crate) const fn is_valid(&self, spec: &Spec) -> bool {
        match self {
            Scorer::Proxy(proxy) => proxy.is_valid(spec),
        }
    }

    /// What the scorer does.
    pub(crate) fn contract<R>(mut self, ask: impl FnOnce(&dyn Contract) -> R) -> R {
        self.each(|scorer| ask(scorer))
    }
}

impl Choice for Scorer {
    const TYPE: &'static str = "Scorer";
    const KEY: Key = Key::Scorer;
    const KINDS: &'static [Self] = &[Scorer::Proxy(Proxy::DEFAULT)];

    fn kind<R>(&mut self, ask: impl FnOnce(&mut dyn Kind) -> R) -> R {
        self.each(|scorer| ask(scorer))
    }
}

/// As the attribute spells it, with every part that has an effect: `proxy(sums = exact, scores = native)`.
impl fmt::Display for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        syntax::write(*self, f)
    }
}

/// Codes of `maxima` to each unit of log2: two scores that differ by more than a 64th have different codes, and 65536 of
/// them reach 1024 units down.
pub const CODES_PER_LOG2: f32 = 64.0;

/// Constants of the buffers that every scorer writes and `select` reads.
pub(crate) fn contract_part(cx: &Cx<'_>) -> Part {
    Part {
        sections: vec![("SEGMENTS", cx.segments())],
        shared: vec![("CODES_PER_LOG2", format!("{CODES_PER_LOG2:.1}f"))],
        ..Part::default()
    }
}
