//! Budgets: how many blocks each head visits of each row.

mod dynamic;
mod held;
mod mass;
mod norms;
mod ratio;

use super::inputs::Scale;
use super::pack::Keys;
use super::scorer::Scores;
use crate::inputs::Inputs;
use crate::memory::{product, room};
use crate::{Element, Observer, Plan, Result};
use proxyattn_codegen::{Budget, Ratio, Split};

/// What a budget may look at.
pub(super) struct Seen<'a, T> {
    pub(super) plan: &'a Plan,
    pub(super) inputs: &'a Inputs<'a, T>,
    pub(super) keys: &'a Keys,
    pub(super) scale: Scale,
    /// What the blocks of each row have scored.
    pub(super) scores: &'a Scores,
}

/// The count of each head and row, `[batch · head][row]`, within bounds: the one place that tells budgets apart.
pub(super) fn counts<T: Element>(seen: &Seen<'_, T>, observer: &dyn Observer) -> Result<Vec<u32>> {
    match seen.plan.spec().budget {
        Budget::Dynamic(dynamic) => {
            let measured = dynamic::measure(seen, &dynamic, observer)?;
            of_rows(seen.plan, |head| measured[head])
        }
        Budget::Ratio(ratio @ Ratio { split: Split::Heads, .. }) => {
            let measured = ratio::divide(seen, &ratio, observer)?;
            of_rows(seen.plan, |head| measured[head])
        }
        Budget::Ratio(Ratio { split: Split::None, .. }) | Budget::TopK(_) | Budget::All => {
            of_rows(seen.plan, |_| 0)
        }
    }
}

/// The counts that follow from a row's place and from what was measured for a head, `batch · heads + head`.
fn of_rows(plan: &Plan, measured: impl Fn(usize) -> usize) -> Result<Vec<u32>> {
    let (geometry, problem, budget) = (plan.geometry(), plan.problem(), plan.spec().budget);
    let heads = problem.batch * problem.heads;
    let mut counts = room("counts", product(&[heads, geometry.rows()]))?;
    for head in 0..heads {
        let measured = measured(head);
        counts.extend((0..geometry.rows()).map(|row| geometry.count(&budget, measured, row) as u32));
    }
    Ok(counts)
}
