//! The CPU backend: 16-bit storage, f32 arithmetic, every core, the widest vectors there are.
//!
//! ```text
//! check inputs ─▶ pack K, V ─▶ prepare ─▶ score ─▶ budget ─▶ select ─▶ attend
//!   inputs.rs      pack.rs     └── scorer/ ──┘     budget/  select.rs attend.rs
//!                              └───────── not for a dense plan ────────┘
//! ```
//!
//! The result does not depend on the number of threads: each piece of work is computed by one of them in one
//! order. It does depend, in the last bits, on the instruction set (`simd/`).
//!
//! A budget may count blocks in the order in which lists are filled, so it comes after the scores.
//!
//! Memory beside the output: K and V in f32 (8 bytes for each of their elements together), the groups' keys where those are
//! means or rounded (4 bytes for each of their elements), the block scores (4 bytes for each tile of a group) and the lists.
//! All of it is had before the output is written to.

mod attend;
mod budget;
mod inputs;
mod last;
mod pack;
mod scorer;
mod select;
mod simd;
mod tile;

pub use simd::InstructionSet;
pub(crate) use simd::isa;

use crate::inputs::Inputs;
use crate::{Element, Observer, Plan, Result, Selection, Stage, StageTimes, ViewMut};
use inputs::Scale;
use std::time::Instant;

/// A plan and inputs that are fit for it.
pub struct Checked<'a, T> {
    plan: &'a Plan,
    inputs: &'a Inputs<'a, T>,
    scale: Scale,
    begun: Instant,
}

/// Looks at the inputs; memory is asked for after that.
pub(crate) fn check<'a, T: Element>(plan: &'a Plan, inputs: &'a Inputs<'a, T>) -> Result<Checked<'a, T>> {
    T::check(plan, inputs)
}

/// Runs a plan. Nothing is written to `out` where memory is short.
pub(crate) fn prefill<T: Element>(
    checked: &Checked<'_, T>,
    out: &mut ViewMut<'_, T>,
    observer: &dyn Observer,
) -> Result<(Selection, StageTimes)> {
    T::prefill(checked, out, observer)
}

/// [`check`], for a type that is known.
pub(crate) fn check_of<'a, T: Element>(plan: &'a Plan, inputs: &'a Inputs<'a, T>) -> Result<Checked<'a, T>> {
    let begun = Instant::now();
    Ok(Checked { plan, inputs, scale: inputs::check(plan, inputs)?, begun })
}

/// [`prefill`], for a type that is known.
pub(crate) fn prefill_of<T: Element>(
    checked: &Checked<'_, T>,
    out: &mut ViewMut<'_, T>,
    observer: &dyn Observer,
) -> Result<(Selection, StageTimes)> {
    let &Checked { plan, inputs, scale, mut begun } = checked;
    let mut times = StageTimes::default();
    let mut lap = |stage| {
        times.set(stage, begun.elapsed());
        begun = Instant::now();
    };
    let block = plan.spec().block.kv as usize;

    observer.begin(Stage::Pool, 1);
    let out = out.rows().ok_or_else(|| inputs::not_here("out"))?;
    let keys = pack::Keys::pack(&inputs.k, block, scale.keys)?;
    let values = pack::Values::pack(&inputs.v, block)?;
    let scorer = match plan.is_dense() {
        true => None,
        false => Some(scorer::prepare(plan, inputs, &keys, scale)?),
    };
    observer.advance(Stage::Pool, 1);
    lap(Stage::Pool);

    let selection = match &scorer {
        None => Selection::dense(plan)?,
        Some(scorer) => {
            let scores = scorer.score(plan, observer)?;
            lap(Stage::Score);
            let seen = budget::Seen { plan, inputs, keys: &keys, scale, scores: &scores };
            let counts = budget::counts(&seen, observer)?;
            lap(Stage::Budget);
            let selection = select::select(plan, seen.scores, counts, observer)?;
            lap(Stage::Select);
            selection
        }
    };
    attend::attend(plan, inputs, (&keys, &values), &selection, scale.queries, &out, observer)?;
    lap(Stage::Attend);
    Ok((selection, times))
}
