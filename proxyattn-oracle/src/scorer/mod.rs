//! What a block is worth to a row. A scorer is a line of `scorers!` and a folder, which implements the contract.

use crate::stages::{Buffers, Sampled};
use crate::{Grid, Oracle};
use proxyattn_codegen::Scorer;

/// Log-scores of the blocks that a row sees: logarithms of weights, −∞ where no sampled query of the row sees a sampled key.
pub type Scores = Vec<f64>;

/// A scorer, as the reference scores.
pub(crate) trait Contract {
    /// Values of its parts, which every suite tries.
    fn examples() -> Vec<Scorer>
    where
        Self: Sized;

    /// Log-scores of every row, `[batch · groups, rows]`.
    fn scores(&self, oracle: &Oracle) -> Vec<Scores>;

    /// How many of the blocks that a row sees, from the first on, have a score: those of which its last sample sees a key
    /// sample.
    fn scored(&self, grid: &Grid, row: usize) -> usize {
        let (window, samples) = (grid.spec.sample_window(), grid.spec.block_samples());
        let last = (grid.row_tokens(row).end - 1) / window.q as usize * window.q as usize;
        grid.keys_seen(last).div_ceil(window.kv as usize).div_ceil(samples.kv as usize)
    }

    /// Asserts that the buffers before those of `score` are near the reference's, and says what `score` should make of them.
    fn sampled<'a>(&self, oracle: &'a Oracle, left: &Buffers<'_>) -> Box<Sampled<'a>>;
}

macro_rules! make {
    ($($(#[$doc:meta])+ $name:ident: $Kind:ident$(($held:ident))? => $value:expr;)+) => {
        $(mod $name;)+

        /// The scorer itself.
        fn contract<R>(scorer: Scorer, ask: impl FnOnce(&dyn Contract) -> R) -> R {
            match scorer {
                $(Scorer::$Kind$(($held))? => ask(&$value),)+
            }
        }

        /// Every kind of scorer, with the values of its parts that make a difference.
        pub fn scorers() -> Vec<Scorer> {
            [$(<proxyattn_codegen::$Kind as Contract>::examples()),+].concat()
        }
    };
}
proxyattn_codegen::scorers!(make);

impl Grid {
    /// As the contract has it.
    pub(crate) fn scored(&self, row: usize) -> usize {
        contract(self.spec.scorer, |scorer| scorer.scored(self, row))
    }
}

impl Oracle {
    /// Log-scores of every row, `[batch · groups, rows]`.
    pub fn scores(&self) -> &[Scores] {
        self.scores.get_or_init(|| contract(self.spec.scorer, |scorer| scorer.scores(self)))
    }

    /// Log-scores of a row.
    pub fn row_scores(&self, batch: usize, group: usize, row: usize) -> &Scores {
        &self.scores()[(batch * self.groups + group) * self.rows() + row]
    }

    /// As the contract has it.
    pub(crate) fn sampled(&self, left: &Buffers<'_>) -> Box<Sampled<'_>> {
        contract(self.spec.scorer, |scorer| scorer.sampled(self, left))
    }
}
