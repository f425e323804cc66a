//! The CPU backend: 16-bit storage, f32 arithmetic, every core, the widest vectors there are.
//!
//! ```text
//! check inputs ─▶ pack K, V ─▶ pool proxies ─▶ score ─▶ budget ─▶ select ─▶ attend
//!   inputs.rs      pack.rs      pool.rs       score.rs budget.rs select.rs attend.rs
//!                               └────────── not for a dense plan ──────────┘
//! ```
//!
//! The result does not depend on the number of threads: each piece of work is computed by one of them in one
//! order. It does depend, in the last bits, on the instruction set (`simd/`).
//!
//! Memory beside the output: K and V in f32 (8 bytes for each of their elements together), the block scores
//! (4 bytes for each tile of a group) and the lists.

mod attend;
mod budget;
mod inputs;
mod pack;
mod pool;
mod score;
mod select;
mod simd;
mod tile;

pub(crate) use simd::isa;

use crate::attention::Inputs;
use crate::{Element, Observer, Plan, Result, Selection, Stage, StageTimes, ViewMut};
use core::f64::consts::LOG2_E;
use proxyattn_codegen::{Budget, Scorer};
use std::time::Instant;

/// Runs a plan. Nothing is written to `out` unless the inputs are sound.
pub(crate) fn prefill<T: Element>(
    plan: &Plan,
    inputs: &Inputs<'_, T>,
    out: &mut ViewMut<'_, T>,
    observer: &dyn Observer,
) -> Result<(Selection, StageTimes)> {
    let mut times = StageTimes::default();
    let mut begun = Instant::now();
    let mut lap = |stage| {
        times.set(stage, begun.elapsed());
        begun = Instant::now();
    };
    let spec = plan.spec();
    let block = spec.block.kv as usize;
    // Scores are base-2 logarithms: the factor is folded into the queries once.
    let scale = (spec.softmax_scale() * LOG2_E) as f32;

    observer.begin(Stage::Pool, 1);
    inputs::check(plan, inputs)?;
    let out = out.rows().ok_or_else(|| inputs::not_here("out"))?;
    let keys = pack::Keys::pack(&inputs.k, block);
    let values = pack::Values::pack(&inputs.v, block);
    let proxies = (!plan.is_dense()).then(|| match spec.scorer {
        Scorer::Proxy => pool::Proxies::pool(plan, inputs, &keys, scale),
    });
    observer.advance(Stage::Pool, 1);
    lap(Stage::Pool);

    let selection = match &proxies {
        None => Selection::dense(plan),
        Some(proxies) => {
            let scores = match spec.scorer {
                Scorer::Proxy => score::score(plan, proxies, observer),
            };
            lap(Stage::Score);
            let measured = match spec.budget {
                Budget::Dynamic { gamma, .. } => budget::measure(plan, inputs, &keys, scale, gamma, observer),
                Budget::TopK { .. } | Budget::Ratio { .. } | Budget::All => Vec::new(),
            };
            lap(Stage::Budget);
            let selection = select::select(plan, &scores, &measured, observer);
            lap(Stage::Select);
            selection
        }
    };
    attend::attend(plan, inputs, (&keys, &values), &selection, scale, &out, observer);
    lap(Stage::Attend);
    Ok((selection, times))
}
