//! A bar on the terminal, for work that takes a while.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on stderr; it shows itself only where stderr is a terminal.
pub fn bar(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("  {bar:32.cyan/black.bright} {percent:>3}%  {eta:>4}  {msg}");
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(8));
    bar.set_message(what.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
