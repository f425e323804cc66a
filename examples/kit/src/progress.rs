//! A bar on the terminal, for inputs that take a while.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use proxyattn_runtime::{Observer, Stage};

/// One bar, reused for each stage; hidden if stderr is not a terminal.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar on stderr. It shows itself only where stderr is a terminal.
    pub fn visible() -> Self {
        let style =
            ProgressStyle::with_template("  {msg:<14} {bar:32.cyan/black.bright} {percent:>3}%  {eta}");
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(12));
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// No bar.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// A new piece of work, of `units`.
    pub fn begin(&self, what: impl Into<String>, units: usize) {
        self.0.set_message(what.into());
        self.0.set_length(units as u64);
        self.0.reset();
    }

    /// `units` more are done.
    pub fn advance(&self, units: usize) {
        self.0.inc(units as u64);
    }

    /// Removes the bar.
    pub fn clear(&self) {
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
