//! A progress bar on stderr, shown only on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use proxyattn_runtime::{Observer, Stage};
use std::time::Duration;

/// One bar, reused for each task and cleared on drop.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(what: impl Into<String>, units: usize) -> Self {
        let style =
            ProgressStyle::with_template("  {msg:<24} {bar:32.cyan/black.bright} {pos}/{len}  {elapsed}");
        let bar = ProgressBar::with_draw_target(Some(units as u64), ProgressDrawTarget::stderr_with_hz(12));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.into());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(crate) fn begin(&self, what: impl Into<String>, units: usize) {
        self.0.set_message(what.into());
        self.0.set_length(units as u64);
        self.0.set_position(0);
    }

    /// Sets how many units are done.
    pub(crate) fn at(&self, units: usize) {
        self.0.set_position(units as u64);
    }

    pub(crate) fn advance(&self, units: usize) {
        self.0.inc(units as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Observer for Progress {
    fn begin(&self, stage: Stage, units: usize) {
        Progress::begin(self, stage.to_string(), units);
    }

    fn advance(&self, _: Stage, units: usize) {
        Progress::advance(self, units);
    }
}
