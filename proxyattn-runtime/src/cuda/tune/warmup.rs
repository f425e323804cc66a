//! Preparing for traffic.

use super::bench::Bench;
use super::tuner::Tuner;
use crate::{Plan, Problem, Result, WhyDense};

/// Context length of warm-up launches.
const WARM_TOKENS: usize = 4096;

/// Launches a plan's kernels once, on a short context.
pub(crate) fn warm_up(tuner: &Tuner<'_>, plan: &Plan) -> Result<()> {
    // A plan that selects has to do so on the short context too.
    let below = match plan.why_dense() {
        Some(WhyDense::Short { below }) => below,
        _ => 0,
    };
    let shorter = |problem: &Problem| Ok(Plan::new(plan.spec(), problem)?.dense_below(below));
    let mut short = *plan.problem();
    while short.kv_len > WARM_TOKENS {
        let half = Problem { q_len: short.q_len.min(short.kv_len / 2), kv_len: short.kv_len / 2, ..short };
        if shorter(&half)?.is_dense() != plan.is_dense() {
            break;
        }
        short = half;
    }
    let short = shorter(&Problem { batch: 1, ..short })?;
    Bench::new(tuner.loader, tuner.lanes, &tuner.kernels.default, &short, tuner.layer)?
        .output(&tuner.kernels.pick(plan))
        .map(drop)
}
