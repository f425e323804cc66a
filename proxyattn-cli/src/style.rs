//! Colours. They are always written; the output streams in `main.rs` strip them when not on a terminal.

use anstyle::{AnsiColor, Style};
use core::fmt::Display;

pub(crate) const TITLE: Style = Style::new().bold();
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
pub(crate) const FAINT: Style = AnsiColor::BrightBlack.on_default();

/// `text` in a style, followed by a reset.
pub(crate) fn painted(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
