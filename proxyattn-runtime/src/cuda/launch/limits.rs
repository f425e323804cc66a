//! What a GPU cannot run.

use super::layout::BUFFERS;
use crate::cuda::load::{LoadedKernel, Loader};
use crate::problem::MAX_TOKENS;
use crate::{Error, Plan, Result, Stage, WhyDense};
use proxyattn_codegen::cuda::{MAX_GROUP_HEADS, Shape};
use std::sync::Arc;

/// Refuses a problem that fits the kernels' configuration but not the GPU.
pub(super) fn check(loader: &Loader, plan: &Plan, kernels: &[Arc<LoadedKernel>]) -> Result<()> {
    let (spec, device) = (&loader.spec, &loader.device);
    let (problem, shape) = (plan.problem(), Shape::from(plan.problem()));
    let limits = [
        ("batch", "the grid", problem.batch as u64, 65_535),
        ("heads", "the grid", problem.heads as u64, 65_535),
        ("heads", "a group's share of a CTA", plan.heads_per_group() as u64, MAX_GROUP_HEADS),
        ("kv_len", "32-bit key positions", problem.kv_len as u64, MAX_TOKENS as u64),
    ];
    for (arg, what, got, limit) in limits {
        if got > limit {
            return Err(Error::Overflow { arg, what, limit, got: got.to_string() });
        }
    }
    // No buffer is larger than this, and all of them together fit 64 bits.
    let largest = [shape.batch, shape.heads, shape.rows(spec), shape.blocks(spec).max(spec.head_dim.into())];
    let largest: u128 = largest.into_iter().map(u128::from).product();
    let (bytes, limit) = (largest * u128::from(spec.block.q) * 4, u64::MAX / BUFFERS as u64 / 2);
    if bytes > limit.into() {
        let got = format!("up to {bytes} for a buffer");
        return Err(Error::Overflow { arg: "kv_len", what: "the workspace", limit, got });
    }
    for LoadedKernel { table, .. } in kernels.iter().map(|kernel| &**kernel) {
        if !table.id.runs(plan.is_dense()) {
            continue;
        }
        let (bytes, limit) = (table.shared_bytes(spec, &shape), device.shared_bytes());
        if bytes > limit {
            let (what, got) = ("the shared memory of a CTA", format!("{bytes} for {} keys", problem.kv_len));
            return Err(Error::Overflow { arg: "kv_len", what, limit, got });
        }
        let [ctas, ..] = table.ctas(spec, &shape, device.multiprocessors());
        let limit = i32::MAX as u64;
        if ctas > limit {
            let got = format!("{ctas} CTAs for {} queries", problem.q_len);
            return Err(Error::Overflow { arg: "q_len", what: "the grid", limit, got });
        }
    }
    Ok(())
}

/// Refuses some of the stages for a plan that is dense because its context is short: a caller that names stages means to
/// select.
pub(crate) fn check_stages(plan: &Plan, stages: &[Stage]) -> Result<()> {
    let Some(WhyDense::Short { below }) = plan.why_dense() else { return Ok(()) };
    if Stage::ALL.iter().all(|stage| stages.contains(stage)) {
        return Ok(());
    }
    Err(Error::Shape {
        arg: "plan",
        expected: "one that selects, for some of the stages; Plan::new or with_dense_below(0) makes it"
            .into(),
        got: format!("a dense one: the context is shorter than {below} tokens"),
    })
}
