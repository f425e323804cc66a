//! Scorers: from inputs to a score for each block of each row. A scorer is a line of `scorers!` and a file or folder, which
//! implements the contract.

use super::inputs::Scale;
use super::pack::Keys;
use crate::inputs::Inputs;
use crate::{Element, Observer, Plan, Result};
use proxyattn_codegen::Scorer;

/// A scorer that has looked at the inputs.
pub(super) trait Prepared {
    /// Scores every block that a row sees.
    fn score(&self, plan: &Plan, observer: &dyn Observer) -> Result<Scores>;
}

/// A scorer on the CPU.
trait Contract {
    /// Lays out what the scorer looks at.
    fn prepare<'a, T: Element>(
        &self,
        plan: &Plan,
        inputs: &Inputs<'_, T>,
        keys: &'a Keys,
        scale: Scale,
    ) -> Result<Box<dyn Prepared + 'a>>;
}

macro_rules! make {
    ($($(#[$doc:meta])+ $name:ident: $Kind:ident$(($held:ident))? => $value:expr;)+) => {
        $(mod $name;)+

        /// Lays out what the plan's scorer looks at.
        pub(super) fn prepare<'a, T: Element>(
            plan: &Plan,
            inputs: &Inputs<'_, T>,
            keys: &'a Keys,
            scale: Scale,
        ) -> Result<Box<dyn Prepared + 'a>> {
            match plan.spec().scorer {
                $(Scorer::$Kind$(($held))? => $value.prepare(plan, inputs, keys, scale),)+
            }
        }
    };
}
proxyattn_codegen::scorers!(make);

/// The score of each block of each row, the base-2 logarithm of a weight: `[batch · group][row][block]`.
pub(super) struct Scores {
    data: Vec<f32>,
    rows: usize,
    blocks: usize,
}

impl Scores {
    /// The scores of the blocks of one row; those that the row does not see are meaningless.
    pub(super) fn row(&self, sequence: usize, row: usize) -> &[f32] {
        &self.data[(sequence * self.rows + row) * self.blocks..][..self.blocks]
    }
}

/// `log₂ Σ 2^x`; −∞ of nothing.
fn log2_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + logs.map(|log| (log - top).exp2()).sum::<f64>().log2()
}
