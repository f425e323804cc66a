//! Watching a prefill: progress while it runs, times and lists afterwards.

use crate::{Plan, Selection, Tensor};
use core::{fmt, time::Duration};

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Inputs are checked and laid out, proxy heads averaged.
    Pool,
    /// Proxy queries against proxy keys, max-pooled over blocks.
    Score,
    /// Each head's own last queries: how many blocks it needs.
    Budget,
    /// Rankings and lists.
    Select,
    /// Attention over the lists.
    Attend,
}

impl Stage {
    /// Every stage, in the order in which they run.
    pub const ALL: &'static [Stage] =
        &[Stage::Pool, Stage::Score, Stage::Budget, Stage::Select, Stage::Attend];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Pool => "pool",
            Stage::Score => "score",
            Stage::Budget => "budget",
            Stage::Select => "select",
            Stage::Attend => "attend",
        })
    }
}

/// Hears of progress. Methods are called from the threads that do the work, often: keep them short.
pub trait Observer: Sync {
    /// A stage begins, in `units` pieces of work. Stages that a plan does not need are not announced.
    fn begin(&self, stage: Stage, units: usize);

    /// `units` more pieces of `stage` are done.
    fn advance(&self, stage: Stage, units: usize);
}

/// Nobody is watching.
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

/// What a prefill did, beside its output.
#[derive(Debug)]
pub struct Trace<T> {
    /// `[batch, heads, q_len, head_dim]`.
    pub output: Tensor<T>,
    /// What was planned. [`Plan::why_dense`] tells a short context from one of which the budget keeps everything.
    pub plan: Plan,
    /// The lists that attention ran over.
    pub selection: Selection,
    /// Where the time went.
    pub times: StageTimes,
}
