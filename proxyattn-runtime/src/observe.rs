//! Observing a prefill: progress while it runs, times and block lists afterwards.

use crate::{Plan, Selection, Tensor};
use core::time::Duration;
pub use proxyattn_codegen::Stage;

/// Progress callbacks. They are called often, from the worker threads: keep them short.
pub trait Observer: Sync {
    /// A stage begins and consists of `units` work units. Stages that a plan skips are not reported.
    fn begin(&self, stage: Stage, units: usize);

    /// `units` more work units of `stage` are done.
    fn advance(&self, stage: Stage, units: usize);
}

/// Ignores all callbacks.
impl Observer for () {
    fn begin(&self, _: Stage, _: usize) {}

    fn advance(&self, _: Stage, _: usize) {}
}

/// Wall-clock time of each stage; zero for a stage that did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    times: [Duration; Stage::ALL.len()],
}

impl StageTimes {
    pub(crate) fn set(&mut self, stage: Stage, time: Duration) {
        self.times[stage as usize] = time;
    }

    /// The time of one stage.
    pub fn of(&self, stage: Stage) -> Duration {
        self.times[stage as usize]
    }

    /// The time of all stages.
    pub fn total(&self) -> Duration {
        self.times.iter().sum()
    }
}

/// The output of a prefill, with its plan, block lists and times.
#[derive(Debug)]
pub struct Trace<T> {
    /// `[batch, heads, q_len, head_dim]`.
    pub output: Tensor<T>,
    /// The plan. [`Plan::why_dense`] distinguishes a short context from a budget that keeps every block.
    pub plan: Plan,
    /// The block lists that attention used.
    pub selection: Selection,
    /// The time of each stage.
    pub times: StageTimes,
}
