//! Scorers: how blocks are scored. A scorer is a line of [`scorers!`](crate::scorers) and a folder, which states its syntax
//! and implements the contract.

use crate::arch::HopperTiles;
use crate::pipeline::{Cx, Part};
use crate::syntax::Kind;
use crate::{Block, Key, Spec, Stride};

macro_rules! make {
    ($($list:tt)*) => {
        choice! {
            /// How blocks are scored.
            Scorer of Key::Scorer; $($list)*
        }
    };
}
scorers!(make);

named! {
    /// How the score of a block for a row of blocks is found from those of the row's samples, which are base-2 logarithms of
    /// weights.
    pub enum Pools {
        /// The weight is that of the sample to which the block weighs most.
        Max = "max",
        /// The weight is the sum of what the block weighs to each sample.
        Sum = "sum",
    }
}

/// What a scorer is, to everything that comes after it.
///
/// A block's score for a row is the base-2 logarithm of a weight, −∞ of none: a scorer's struct says what the weight is. Lists
/// are filled by scores; a budget that asks how much of a row some blocks hold adds up weights, as shares of what all blocks
/// that the row sees weigh together, so a constant that a scorer adds to all scores of a row has no effect.
///
/// It leaves to `select`, for each (group, row of blocks), the score of each of the row's samples in each block, as a code above
/// the sample's floor, and what the sample's scores sum to: [`Scratch::Maxima`], [`Scratch::Floors`] and [`Scratch::Lse`]. The
/// difference of the two is what is [pooled](Pools) over the samples of the row: of a block that another sample of the row
/// sees, it is that of a weight of nothing.
///
/// [`Scratch::Maxima`]: crate::abi::Scratch::Maxima
/// [`Scratch::Floors`]: crate::abi::Scratch::Floors
/// [`Scratch::Lse`]: crate::abi::Scratch::Lse
pub(crate) trait Contract: Kind {
    /// Itself.
    fn as_contract(&mut self) -> &mut dyn Contract
    where
        Self: Sized,
    {
        self
    }

    /// Query and key tokens that one sample stands for, the first of which is its position; each divides the block.
    fn window(&self, spec: &Spec) -> Stride;

    /// How `select` finds a row's scores.
    fn pools(&self) -> Pools {
        Pools::Max
    }

    /// Whether every block that a row sees has a score. If not, those have one of which the row's last sample sees a key sample;
    /// what the buffers hold of others, all of which are always kept, has no meaning.
    fn scores_every_block(&self) -> bool {
        false
    }

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

    /// How the scores of a row's samples become the row's.
    pub fn pools(&self) -> Pools {
        self.scorer.contract(|scorer| scorer.pools())
    }

    /// Samples of a block: along the queries, and along the keys.
    pub fn block_samples(&self) -> Block {
        let window = self.sample_window();
        Block { q: self.block.q / window.q, kv: self.block.kv / window.kv }
    }
}

/// Codes of `maxima` to each unit of log2: two scores that differ by more than a 64th have different codes, and 65536 of
/// them reach 1024 units down.
pub const CODES_PER_LOG2: f32 = 64.0;

/// Constants of the buffers that every scorer writes and `select` reads.
pub(crate) fn contract_part(cx: &Cx<'_>) -> Part {
    Part {
        sections: vec![
            ("SEGMENTS", cx.segments()),
            ("EVERY_BLOCK_SCORED", cx.spec.scorer.contract(|scorer| scorer.scores_every_block())),
            ("POOL_SUM", cx.spec.pools() == Pools::Sum),
        ],
        shared: vec![("CODES_PER_LOG2", format!("{CODES_PER_LOG2:.1}f"))],
        ..Part::default()
    }
}
