//! Observing a prefill: progress while it runs, times and block lists afterwards.

use crate::{Plan, Selection, Tensor};
use core::fmt;
use core::time::Duration;
pub use proxyattn_codegen::Stage;

/// Progress callbacks, for [`prefill_traced`](crate::Attention::prefill_traced). They are called often, from the worker threads: keep them short.
///
/// ```
/// use proxyattn::codegen::Spec;
/// use proxyattn::synthetic::Synthetic;
/// use proxyattn::{Attention, Device, Observer, Stage};
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
///
/// struct Done(AtomicUsize);
///
/// impl Observer for Done {
///     fn begin(&self, stage: Stage, units: usize) {
///         println!("{stage}: {units}");
///     }
///
///     fn advance(&self, _: Stage, units: usize) {
///         self.0.fetch_add(units, Relaxed);
///     }
/// }
///
/// let inputs = Synthetic { tokens: 300, ..Synthetic::DEFAULT }.generate::<proxyattn::prelude::bf16>()?;
/// let attention = Attention::load(&Spec::DEFAULT, &Device::cpu())?;
/// let done = Done(AtomicUsize::new(0));
/// attention.prefill_traced(&inputs.q, &inputs.k, &inputs.v, &done)?;
/// assert!(done.0.into_inner() > 0);
/// # Ok::<(), proxyattn::Error>(())
/// ```
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

/// Wall-clock time of each stage; zero for a stage that did not run. Printed, it is a line of milliseconds.
///
/// ```
/// use proxyattn::{Stage, StageTimes};
///
/// fn scoring(times: &StageTimes) -> f64 {
///     times.of(Stage::Score).as_secs_f64() / times.total().as_secs_f64()
/// }
/// # assert!(scoring(&StageTimes::default()).is_nan());
/// ```
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

impl fmt::Display for StageTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| 1e3 * time.as_secs_f64();
        write!(f, "{:.1} ms", ms(self.total()))?;
        for (i, &stage) in Stage::ALL.iter().enumerate() {
            write!(f, "{} {stage} {:.1}", if i == 0 { ":" } else { "," }, ms(self.of(stage)))?;
        }
        Ok(())
    }
}

/// The output of a prefill, with its plan, block lists and times. Printed, it says how long the stages took, why nothing was
/// selected if nothing was, and draws the [`Selection`].
///
/// ```
/// use proxyattn::prelude::*;
/// use proxyattn::synthetic::Synthetic;
///
/// #[proxy_attention]
/// struct Default128;
///
/// let inputs = Synthetic { tokens: 2048, ..Synthetic::DEFAULT }.generate()?;
/// let attention = Default128::load(&Device::auto())?;
/// let trace = attention.prefill_traced(&inputs.q, &inputs.k, &inputs.v, &())?;
/// println!("{trace}");
/// assert_eq!(trace.output.shape(), inputs.q.shape());
/// assert_eq!(trace.plan.why_dense().is_some(), trace.selection.density() == 1.0);
/// # Ok::<(), proxyattn::Error>(())
/// ```
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

impl<T> fmt::Display for Trace<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.times)?;
        if let Some(why) = self.plan.why_dense() {
            writeln!(f, "ran dense: {why}")?;
        }
        self.selection.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_line() {
        let mut times = StageTimes::default();
        times.set(Stage::Score, Duration::from_micros(1250));
        times.set(Stage::Attend, Duration::from_millis(20));
        assert_eq!(times.to_string(), "21.2 ms: pool 0.0, score 1.2, budget 0.0, select 0.0, attend 20.0");
    }
}
