//! The width of the output, and text that fits it.

use anstream::adapter::strip_str;
use terminal_size::terminal_size_of;

/// Longer lines of prose are hard to read.
const PROSE: usize = 100;

/// The columns that an output has.
#[derive(Clone, Copy)]
pub(crate) struct Width(usize);

impl Width {
    /// Those of stdout: the terminal's, else `COLUMNS`. Files and pipes have as many as a line needs.
    pub(crate) fn stdout() -> Self {
        Self::of(terminal_size_of(std::io::stdout()))
    }

    /// The same of stderr.
    pub(crate) fn stderr() -> Self {
        Self::of(terminal_size_of(std::io::stderr()))
    }

    fn of(terminal: Option<(terminal_size::Width, terminal_size::Height)>) -> Self {
        let named = || std::env::var("COLUMNS").ok()?.parse().ok();
        let columns = terminal.map(|(width, _)| usize::from(width.0)).or_else(named);
        Self(columns.filter(|&columns| columns > 0).unwrap_or(usize::MAX))
    }

    pub(crate) fn columns(self) -> usize {
        self.0
    }

    /// `text` with its long lines broken between words. A line goes on as far to the right as it began, and `hang` columns
    /// more.
    pub(crate) fn fit(self, text: &str, hang: usize) -> String {
        // Where there is no width, nothing has to fit it.
        let limit = if self.0 == usize::MAX { self.0 } else { self.0.min(PROSE) };
        let lines = text.split_inclusive('\n').map(|line| {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let indent = line.len() - line.trim_start().len();
            broken(line, limit, indent + hang).join("\n") + end
        });
        lines.collect()
    }
}

/// A line, broken between words where it is longer than `limit`; what is broken off is indented.
pub(crate) fn broken(line: &str, limit: usize, indent: usize) -> Vec<String> {
    if visible(line) <= limit {
        return vec![line.to_owned()];
    }
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut gap = "";
    let mut rest = line;
    while !rest.is_empty() {
        let start = rest.find(|c: char| c != ' ').unwrap_or(rest.len());
        let end = rest[start..].find(' ').map_or(rest.len(), |end| start + end);
        let word = &rest[start..end];
        gap = if start > 0 { &rest[..start] } else { gap };
        let has_words = !current.trim_start().is_empty();
        if has_words && visible(&current) + gap.len() + visible(word) > limit {
            lines.push(current);
            current = format!("{}{word}", " ".repeat(indent));
        } else {
            current += gap;
            current += word;
        }
        gap = "";
        rest = &rest[end..];
    }
    lines.push(current);
    lines
}

/// The columns that a text takes.
pub(crate) fn visible(text: &str) -> usize {
    strip_str(text).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::{ERROR, painted};

    #[test]
    fn lines_are_broken_between_words() {
        let text = ["word"; 41].join(" ");
        assert_eq!(Width(usize::MAX).fit(&text, 0), text, "where there is no width");
        for columns in [30, 60, 100, 300] {
            let fitted = Width(columns).fit(&text, 3);
            let lines: Vec<_> = fitted.lines().collect();
            assert!(lines.iter().all(|line| line.len() <= columns.min(PROSE)), "{fitted}");
            assert!(lines[1..].iter().all(|line| line.starts_with("   word")), "{fitted}");
            assert_eq!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "), text);
        }
    }

    #[test]
    fn lines_keep_their_indentation_and_words_that_are_too_long() {
        let fitted = Width(12).fit("  a b c d e f g\n\n/a/long/path/that/has/no/room x\n", 1);
        assert_eq!(fitted, "  a b c d e\n   f g\n\n/a/long/path/that/has/no/room\n x\n");
        assert_eq!(Width(10).fit("name   more text", 7), "name\n       more\n       text");
    }

    #[test]
    fn colours_take_no_room() {
        let text = format!("{} abc def", painted(ERROR, "error:"));
        assert_eq!(Width(14).fit(&text, 0), text);
        assert_eq!(Width(13).fit(&text, 0), format!("{} abc\ndef", painted(ERROR, "error:")));
    }
}
