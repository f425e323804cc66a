//! The budget `dynamic`: the last queries of each head over all keys, and how many blocks hold their mass.

mod syntax;

use super::mass::{self, Order, Rows, Weigh, order, rows};
use super::{Contract, Measured, RowView};
use crate::abi::build::write;
use crate::abi::{KernelId, Scratch};
use crate::arch::HopperTiles;
use crate::pipeline::{Cx, Part};
use crate::{Block, Share, Spec};

const COUNTS: &str = "budget/dynamic/counts.cuh";

/// What a dynamic budget is taken to keep, since that is known only when it has run. Of real contexts of 16384 tokens, γ = 0.6
/// in the order of the list keeps a tenth of the blocks, γ = 0.9 in the head's own a fifth (`docs/accuracy.md`).
const fn expected_share(order: Order) -> f64 {
    match order {
        Order::List => 0.1,
        Order::Own => 0.2,
    }
}

/// `dynamic(gamma = 0.6, min_tokens = 512, rows = ratio, order = list, weigh = values)`: the fewest blocks that hold `gamma` of
/// the softmax mass of the head's own last queries, and at least `min_tokens` worth of blocks (ProxyAttn, Algorithm 1).
///
/// With probabilities p of the last `min(block.q, q_len)` queries t of head h over its keys s, block j has the mass
/// `e(j) = Σ_t Σ_{s ∈ j} p(t, s) · w(s)`, as a share of the sum over all blocks; `w` is 1, or ‖v(s)‖₂ by [`Weigh`]. The
/// count is the smallest c at which the first c blocks in the [`Order`] hold `gamma`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dynamic {
    /// [Share] of the mass, in (0, 1], to the nearest millionth.
    pub gamma: f64,
    /// Tokens below which no row's budget falls.
    pub min_tokens: u32,
    /// How the count of the last row carries over to the others.
    pub rows: Rows,
    /// In which order blocks are counted.
    pub order: Order,
    /// What a key's probability counts for.
    pub weigh: Weigh,
}

impl Dynamic {
    /// `budget = dynamic` without any part.
    pub const DEFAULT: Dynamic =
        Dynamic { gamma: 0.6, min_tokens: 512, rows: Rows::Ratio, order: Order::List, weigh: Weigh::Values };

    /// The paper's rule: γ = 0.95, at least 2048 tokens, absolute rows, the head's own order, and no weights.
    pub const PAPER: Dynamic = Dynamic {
        gamma: 0.95,
        min_tokens: 2048,
        rows: Rows::Absolute,
        order: Order::Own,
        weigh: Weigh::None,
    };
}

impl Contract for Dynamic {
    fn wanted(&self, row: RowView, measured: u64) -> u64 {
        self.rows.wanted(row, measured, self.min_tokens)
    }

    fn measures(&self) -> Option<Measured> {
        Some(Measured::Heads)
    }

    fn differs_within_group(&self) -> bool {
        true
    }

    fn floor_tokens(&self, _: Block) -> u64 {
        self.min_tokens.into()
    }

    fn expected_share(&self, floor: f64) -> f64 {
        floor.max(expected_share(self.order))
    }

    fn measured_share(&self, share: f64, causal: bool) -> f64 {
        self.rows.measured_share(share, causal)
    }

    fn meaning(&self) -> String {
        let Self { gamma, min_tokens, rows, order, weigh } = self;
        let blocks = match order {
            Order::List => "the first blocks of the list that hold",
            Order::Own => "blocks that hold",
        };
        let mass = match weigh {
            Weigh::Values => "mass, weighed by values",
            Weigh::None => "mass",
        };
        let rows = match rows {
            Rows::Absolute => "the same count in every row",
            Rows::Ratio => "the same share of every row",
        };
        format!("{blocks} {gamma} of the last row's {mass}, at least {min_tokens} tokens; {rows}")
    }

    fn on_hopper(&self, spec: &Spec, tiles: &HopperTiles) -> bool {
        mass::on_hopper(spec, tiles)
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        rows::WANTED
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let own = Part {
            buffers: vec![Measured::Heads.buffer("blocks that hold gamma of the mass")],
            defines: vec![("GAMMA_MILLIONTHS", Share::of(self.gamma).millionths().to_string())],
            ..Part::default()
        };
        mass::part(cx, self.weigh)
            .and(order::part(cx, KernelId::BudgetCounts, self.order, write(Scratch::Measured), COUNTS))
            .and(rows::part(cx, self.rows, self.min_tokens))
            .and(own)
    }
}
