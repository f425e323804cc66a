//! The budget `ratio`: a share of the blocks that a row sees, the same for every head or divided among them.

mod syntax;

use super::mass::{self, Order, Rows, Weigh, order, rows};
use super::{Contract, Measured, RowView};
use crate::abi::build::{lay_out, number, numbers, read, write};
use crate::abi::{Buffer, Kernel, KernelId, Scalar, Scratch, Size, UnitId};
use crate::arch::HopperTiles;
use crate::pipeline::{Cx, Part};
use crate::{Arch, Block, Share, Spec};

named! {
    /// How a share of the blocks is divided among the heads of a layer.
    pub enum Split {
        /// Each head has as much as its mass asks for: the total is known beforehand, the parts are not.
        Heads = "heads",
        /// Not at all: every head has the share.
        None = "none",
    }
}

/// `ratio(0.1)`: a share of the blocks that the row can see, rounded up. `ratio(0.1, split = heads, min_tokens = 512)`: on
/// average this share.
///
/// `split = heads` gives the heads of a layer `heads · ⌈share · visible⌉` blocks of the last row together. Each has as many as
/// hold a share γ of its mass, which is that of [`Dynamic`](crate::Dynamic), weighed by values and in the order of the list,
/// with the largest γ at which the counts do not exceed the total. Other rows have the same share of their visible blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// [Share], in (0, 1], to the nearest millionth.
    pub share: f64,
    /// Whether heads divide what they have together.
    pub split: Split,
    /// Tokens below which no row's budget falls where heads divide it; without effect where they do not.
    pub min_tokens: u32,
}

impl Ratio {
    /// The share of the documentation's example, for which the attribute has no default, not divided.
    pub const DEFAULT: Ratio = Ratio { share: 0.1, split: Split::None, min_tokens: 512 };
}

const SHARES: &str = "budget/ratio/shares.cuh";
const COUNTS: &[&str] = &["budget/ratio/counts.cuh"];

const SPLIT_THREADS: u32 = 1024;
/// Rounds in which the 32 bits of a share are found, five at a time.
const SPLIT_ROUNDS: u32 = 32u32.div_ceil(5);

impl Contract for Ratio {
    fn wanted(&self, row: RowView, measured: u64) -> u64 {
        match self.split {
            Split::Heads => Rows::Ratio.wanted(row, measured, self.min_tokens),
            Split::None => Share::of(self.share).of_count(row.visible),
        }
    }

    fn measures(&self) -> Option<Measured> {
        self.is_split().then_some(Measured::Heads)
    }

    fn differs_within_group(&self) -> bool {
        self.is_split()
    }

    fn floor_tokens(&self, _: Block) -> u64 {
        match self.split {
            Split::Heads => self.min_tokens.into(),
            Split::None => 0,
        }
    }

    /// Heads divide the share, and the floors come on top.
    fn expected_share(&self, floor: f64) -> f64 {
        match self.split {
            Split::Heads => floor.max(self.share),
            Split::None => self.share,
        }
    }

    fn measured_share(&self, share: f64, causal: bool) -> f64 {
        Rows::Ratio.measured_share(share, causal)
    }

    fn meaning(&self) -> String {
        let Self { share, split, min_tokens } = self;
        match split {
            Split::Heads => format!(
                "{share} of the blocks that a row can see, divided among the heads by their mass, each at least \
                 {min_tokens} tokens"
            ),
            Split::None => format!("{share} of the blocks that a row can see"),
        }
    }

    fn on_hopper(&self, spec: &Spec, tiles: &HopperTiles) -> bool {
        self.is_split() && mass::on_hopper(spec, tiles)
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        match self.split {
            Split::Heads => rows::WANTED,
            Split::None => &["budget/ratio/wanted.cuh"],
        }
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let own = Part {
            defines: vec![("RATIO_MILLIONTHS", Share::of(self.share).millionths().to_string())],
            ..Part::default()
        };
        match self.split {
            Split::Heads => mass::part(cx, Weigh::Values)
                .and(order::part(cx, KernelId::BudgetShares, Order::List, write(Scratch::Shares), SHARES))
                .and(rows::part(cx, Rows::Ratio, self.min_tokens))
                .and(own)
                .and(divide()),
            Split::None => own,
        }
    }
}

impl Ratio {
    fn is_split(&self) -> bool {
        self.split == Split::Heads
    }
}

/// From shares to each head's part of the total.
fn divide() -> Part {
    let dims = [Scalar::Batch, Scalar::Heads, Scalar::Blocks].map(Size::Scalar).into();
    Part {
        kernels: vec![counts()],
        buffers: vec![
            Buffer { scratch: Scratch::Shares, dims, holds: "mass of a list's first blocks, in 2^-32" },
            Measured::Heads.buffer("a head's part of the blocks of the last row"),
        ],
        memory: vec![(UnitId::Scoring, "counts:    a word for each round and lane".into())],
        shared: vec![
            ("SPLIT_THREADS", SPLIT_THREADS.to_string()),
            ("SPLIT_ROUNDS", SPLIT_ROUNDS.to_string()),
        ],
        ..Part::default()
    }
}

/// A CTA to a sequence; it follows `budget_shares`, which follows `score`.
fn counts() -> Kernel {
    let mut fields = vec![read(Scratch::Shares), write(Scratch::Measured)];
    fields.extend(numbers([Scalar::Heads, Scalar::Blocks]));
    Kernel {
        id: KernelId::BudgetCounts,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: SPLIT_THREADS,
        // A word for each round and lane.
        shared: number(SPLIT_ROUNDS * 32 * 4),
        grid: [Scalar::Batch.into(), number(1), number(1)],
        pack: 1,
        bounds: "SPLIT_THREADS",
        files: COUNTS.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;

    fn divided(min_tokens: u32) -> Spec {
        let budget = Budget::Ratio(Ratio { share: 0.07, split: Split::Heads, min_tokens });
        Spec { budget, ..Spec::DEFAULT }
    }

    #[test]
    fn a_divided_share_is_measured_and_has_a_floor() {
        let spec = divided(512);
        let budget = spec.budget;
        assert!(budget.measures() == Some(Measured::Heads) && budget.differs_within_group());
        assert_eq!(budget.floor_tokens(spec.block), 512);
        assert_eq!(spec.expected_share(1 << 20), 0.07);
        assert_eq!(spec.expected_share(2048), 0.5, "512 of the 1024 that a row sees on average");
        assert_eq!(spec.measured_share(0.2), Some(0.2));
        let wanted =
            |visible, measured| budget.wanted(RowView { visible, last_visible: 100, block_kv: 64 }, measured);
        assert_eq!([wanted(100, 33), wanted(50, 33), wanted(10, 33), wanted(100, 1)], [33, 17, 8, 8]);
    }

    #[test]
    fn an_undivided_share_looks_at_nothing() {
        let spec = Spec { budget: Budget::ratio(0.07), ..Spec::DEFAULT };
        let budget = spec.budget;
        assert!(budget.measures().is_none() && !budget.differs_within_group());
        assert_eq!((budget.floor_tokens(spec.block), spec.measured_share(0.2)), (0, None));
        assert_eq!((spec.expected_share(1), spec.expected_share(1 << 20)), (0.07, 0.07));
        assert_eq!(budget.wanted(RowView { visible: 50, last_visible: 100, block_kv: 64 }, 33), 4);
    }
}
