//! Budgets: how many key blocks a head may visit. A budget is a line of [`budgets!`](crate::budgets) and a folder, which
//! states its syntax and implements the contract.

mod mass;
mod measured;
mod of_layer;
mod rules;

pub use mass::{Order, Rows, Weigh};
pub use measured::{Measured, Place};
pub use of_layer::OfLayer;

use crate::arch::HopperTiles;
use crate::pipeline::{Cx, Part};
use crate::select::ByScore;
use crate::syntax::Kind;
use crate::{Block, Key, Spec};

macro_rules! make {
    ($($list:tt)*) => {
        choice! {
            /// How many key blocks a query head may visit in a row of blocks.
            ///
            /// ```
            /// use proxyattn_codegen::{Block, Budget, Ratio, RowView, Split, TopK};
            ///
            /// assert_eq!(Budget::top_k(16), Budget::TopK(TopK { blocks: 16 }));
            /// assert_eq!(Budget::ratio(0.1).to_string(), "ratio(0.1)");
            /// let row = RowView { visible: 50, last_visible: 100, block_kv: 64 };
            /// assert_eq!((Budget::ratio(0.1).wanted(row, 0), Budget::All.wanted(row, 0)), (5, 50));
            /// assert_eq!(Budget::top_k(16).floor_tokens(Block { q: 64, kv: 64 }), 1024);
            /// let Budget::Ratio(Ratio { split, .. }) = Budget::ratio(0.1) else { panic!("a ratio") };
            /// assert_eq!(split, Split::None);
            /// ```
            Budget of Key::Budget; $($list)*
        }
    };
}
budgets!(make);

/// A row of blocks, as a budget looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowView {
    /// Blocks that the row can see.
    pub visible: u64,
    /// Blocks that the last row can see, on which a budget is measured.
    pub last_visible: u64,
    /// Key tokens of a block.
    pub block_kv: u32,
}

/// What a budget is, to everything that comes after it: how many blocks a head wants of a row, what is known of that before
/// any input is seen, and the kernels that look at the inputs, if it has any.
pub(crate) trait Contract: Kind {
    /// Itself.
    fn as_contract(&mut self) -> &mut dyn Contract
    where
        Self: Sized,
    {
        self
    }

    /// Blocks that a head wants of a row, before bounds. `measured` is the count that [was found](Self::measures) for it;
    /// kinds that measure nothing do not look at it.
    fn wanted(&self, row: RowView, measured: u64) -> u64;

    /// What its kernels count, if it looks at inputs or scores. They leave the counts in [`Scratch::Measured`], and run
    /// before `select`, which asks [`wanted_text`](Self::wanted_text) for them; those that rank blocks, by
    /// [`select::RANKS`](crate::select::RANKS), run after the scorer's, because they read what these write.
    ///
    /// [`Scratch::Measured`]: crate::abi::Scratch::Measured
    fn measures(&self) -> Option<Measured> {
        None
    }

    /// What comes with the layer for each head, if anything: `measured` follows from it, and `select` finds it in
    /// [its buffer](OfLayer::scratch).
    fn of_layer(&self) -> Option<OfLayer> {
        None
    }

    /// Whether heads of a group may visit different numbers of blocks of one row.
    fn differs_within_group(&self) -> bool {
        false
    }

    /// The text of `select` where lists end by the scores of their blocks, and not after a number that is known before.
    fn by_score(&self) -> Option<ByScore> {
        None
    }

    /// Tokens that it keeps of every row that has as many, whatever the scores are.
    fn floor_tokens(&self, _: Block) -> u64 {
        0
    }

    /// The share of the visible tiles that it is expected to keep, where the floor alone keeps a share of `floor`.
    fn expected_share(&self, floor: f64) -> f64;

    /// A measured count, as a share of the blocks that its row sees, at which it keeps `share` of the visible tiles; without
    /// effect where nothing is measured.
    fn measured_share(&self, share: f64, _causal: bool) -> f64 {
        share
    }

    /// What it keeps, for the documentation of a kernel.
    fn meaning(&self) -> String;

    /// Whether there is a Hopper kernel for its own pass over the keys.
    fn on_hopper(&self, _: &Spec, _: &HopperTiles) -> bool {
        false
    }

    /// The template of `wanted_blocks`, which says to `select` what [`wanted`](Self::wanted) says; none where nothing is
    /// selected, or [by its score](Self::by_score).
    fn wanted_text(&self) -> &'static [&'static str];

    /// Its kernels, buffers, sections and constants.
    fn part(&self, cx: &Cx<'_>) -> Part;
}

impl Budget {
    /// `top_k(blocks = …)`.
    pub const fn top_k(blocks: u32) -> Self {
        Budget::TopK(TopK { blocks })
    }

    /// `ratio(…)`.
    pub const fn ratio(share: f64) -> Self {
        Budget::Ratio(Ratio { share, ..Ratio::DEFAULT })
    }

    /// Blocks that a head wants of a row, before bounds. `measured` is the count that [was found](Self::measures) for it;
    /// kinds that measure nothing do not look at it.
    pub fn wanted(self, row: RowView, measured: u64) -> u64 {
        self.contract(|budget| budget.wanted(row, measured))
    }

    /// What is counted to say how many blocks a head needs, where that depends on the inputs.
    pub fn measures(self) -> Option<Measured> {
        self.contract(|budget| budget.measures())
    }

    /// What comes with the layer for each head, if anything.
    pub fn of_layer(self) -> Option<OfLayer> {
        self.contract(|budget| budget.of_layer())
    }

    /// Whether heads of a group may visit different numbers of blocks of one row.
    pub fn differs_within_group(self) -> bool {
        self.contract(|budget| budget.differs_within_group())
    }

    /// Whether lists end by the scores of their blocks: then `select` itself counts what it keeps.
    pub fn ends_by_score(self) -> bool {
        self.contract(|budget| budget.by_score().is_some())
    }

    /// Tokens that it keeps of every row that has as many, whatever the scores are.
    pub fn floor_tokens(self, block: Block) -> u64 {
        self.contract(|budget| budget.floor_tokens(block))
    }

    /// What it keeps, in a line of documentation.
    pub fn meaning(self) -> String {
        self.contract(|budget| budget.meaning())
    }
}

impl Spec {
    /// The share of the visible tiles of a whole context that the budget is expected to keep, as far as the context's length
    /// tells.
    pub fn expected_share(&self, kv_len: u64) -> f64 {
        // Half of the tiles of a causal context are visible.
        let visible = kv_len as f64 / if self.causal { 2.0 } else { 1.0 };
        let floor = (self.budget.floor_tokens(self.block) as f64 / visible).min(1.0);
        self.budget.contract(|budget| budget.expected_share(floor))
    }

    /// A measured count, as a share of the blocks that its row sees, at which the budget keeps `share` of the visible tiles;
    /// `None` where nothing is measured.
    pub fn measured_share(&self, share: f64) -> Option<f64> {
        self.budget.measures()?;
        Some(self.budget.contract(|budget| budget.measured_share(share, self.causal)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_from_the_budget() {
        let of = |budget| Spec { budget, ..Spec::DEFAULT };
        let dynamic = |rows| of(Budget::Dynamic(Dynamic { rows, ..Dynamic::DEFAULT }));
        assert_eq!(dynamic(Rows::Ratio).expected_share(1 << 20), 0.1);
        assert_eq!(
            dynamic(Rows::Ratio).expected_share(2048),
            0.5,
            "512 of the 1024 that a row sees on average"
        );
        assert_eq!(dynamic(Rows::Ratio).expected_share(100), 1.0);
        assert_eq!(of(Budget::top_k(8)).expected_share(10_240), 0.1);
        assert_eq!(Spec { causal: false, ..of(Budget::top_k(8)) }.expected_share(10_240), 0.05);
        assert_eq!(of(Budget::ratio(0.3)).expected_share(1), 0.3);
        assert_eq!(of(Budget::All).expected_share(1), 1.0);
        assert_eq!(dynamic(Rows::Ratio).measured_share(0.2), Some(0.2));
        assert_eq!(dynamic(Rows::Absolute).measured_share(0.2), Some(0.1));
        assert_eq!(of(Budget::ratio(0.3)).measured_share(0.3), None);
    }
}
