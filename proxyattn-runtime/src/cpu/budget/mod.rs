//! Budgets: how many blocks each head visits of each row. A budget is a line of `budgets!` and a file or folder, which
//! implements the contract.

mod held;
mod mass;
mod norms;

use super::inputs::Scale;
use super::pack::Keys;
use super::scorer::Scores;
use crate::inputs::Inputs;
use crate::memory::{product, room};
use crate::{Element, Observer, Plan, Result};
use proxyattn_codegen::Budget;

/// What a budget may look at.
pub(super) struct Seen<'a, T> {
    pub(super) plan: &'a Plan,
    pub(super) inputs: &'a Inputs<'a, T>,
    pub(super) keys: &'a Keys,
    pub(super) scale: Scale,
    /// What the blocks of each row have scored.
    pub(super) scores: &'a Scores,
}

/// A budget on the CPU.
trait Contract {
    /// The count of each head and row, `[batch · head][row]`, within bounds. As a rule that follows from the row's place.
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, _: &dyn Observer) -> Result<Vec<u32>> {
        bounded(seen.plan, |_, _| 0)
    }
}

macro_rules! make {
    ($($(#[$doc:meta])+ $name:ident: $Kind:ident$(($held:ident))? => $value:expr;)+) => {
        $(mod $name;)+

        /// The count of each head and row, `[batch · head][row]`, within bounds.
        pub(super) fn counts<T: Element>(seen: &Seen<'_, T>, observer: &dyn Observer) -> Result<Vec<u32>> {
            match seen.plan.spec().budget {
                $(Budget::$Kind$(($held))? => $value.counts(seen, observer),)+
            }
        }
    };
}
proxyattn_codegen::budgets!(make);

/// The counts that follow from a row's place and from what was measured for a head, `batch · heads + head`, and the row.
fn bounded(plan: &Plan, measured: impl Fn(usize, usize) -> usize) -> Result<Vec<u32>> {
    let (geometry, problem, budget) = (plan.geometry(), plan.problem(), plan.spec().budget);
    let heads = problem.batch * problem.heads;
    let mut counts = room("counts", product(&[heads, geometry.rows()]))?;
    for head in 0..heads {
        counts
            .extend((0..geometry.rows()).map(|row| geometry.count(&budget, measured(head, row), row) as u32));
    }
    Ok(counts)
}
