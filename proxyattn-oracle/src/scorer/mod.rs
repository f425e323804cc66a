//! What a block is worth to a row. A scorer is a line of `scorers!` and a folder, which implements the contract.

use crate::Oracle;
use crate::stages::{Buffers, Sampled};
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
