//! Watching a prefill: progress while it runs, times and lists afterwards.

use crate::{Plan, Selection, Tensor};
use core::time::Duration;
pub use proxyattn_codegen::Stage;

/// Progress callbacks. Methods are called often, from the threads that do the work: keep them short.
pub trait Observer: Sync {
    /// A stage begins, in `units` pieces of work. Stages that a plan does not need are not announced.
    fn begin(&self, stage: Stage, units: usize);

    /// `units` more pieces of `stage` are done.
    fn advance(&self, stage: Stage, units: usize);
}

/// Ignores progress.
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

/// The output of a prefill, and how it was computed.
#[derive(Debug)]
pub struct Trace<T> {
    /// `[batch, heads, q_len, head_dim]`.
    pub output: Tensor<T>,
    /// The plan. [`Plan::why_dense`] distinguishes a short context from one whose budget keeps every block.
    pub plan: Plan,
    /// The lists that attention ran over.
    pub selection: Selection,
    /// Where the time went.
    pub times: StageTimes,
}
