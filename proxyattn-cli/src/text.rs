//! Tables, wrapped text and human-readable numbers.

use crate::style::{TITLE, painted};
use core::cmp::Ordering;
use proxyattn_runtime::Problem;
use std::io::IsTerminal;
use std::time::Duration;

/// The query and context lengths of a problem, in words.
pub(crate) fn tokens(problem: &Problem) -> String {
    let Problem { q_len, kv_len, .. } = problem;
    match q_len.cmp(kv_len) {
        Ordering::Equal => format!("{kv_len} tokens"),
        Ordering::Less => format!("the last {q_len} of {kv_len} tokens"),
        Ordering::Greater => format!("{q_len} query tokens over {kv_len} key tokens"),
    }
}

/// A table whose columns are as wide as their widest cell. The first column and those in `left` are left-aligned, the
/// others right-aligned.
pub(crate) struct Table {
    left: &'static [usize],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// `left` lists the left-aligned columns other than the first.
    pub(crate) fn new(head: &[&str], left: &'static [usize]) -> Self {
        Self { left, rows: vec![head.iter().map(ToString::to_string).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each indented by two spaces.
    pub(crate) fn print(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &[String], column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| cell(row, column)).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 || self.left.contains(&column) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            let line = line.trim_end();
            let line = if index == 0 { painted(TITLE, line) } else { line.to_owned() };
            out.push_str(&format!("  {line}\n"));
        }
        out
    }
}

/// A heading.
pub(crate) fn heading(text: &str) -> String {
    format!("\n{}\n", painted(TITLE, text))
}

/// `text`, wrapped if stdout is a terminal.
pub(crate) fn fitted(text: &str, indent: usize) -> String {
    if std::io::stdout().is_terminal() { wrapped(text, indent) } else { text.to_owned() }
}

/// `text` wrapped at about 100 characters, with all lines but the first indented.
fn wrapped(text: &str, indent: usize) -> String {
    const WIDTH: usize = 100;
    let mut out = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            length = 0;
        } else if length > 0 {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += word_length;
    }
    out
}

/// `3.1 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `3 d`: the largest unit that gives at least 1.
pub(crate) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "s"));
    format!("{} {unit}", seconds / length)
}

/// `1 cubin`, `2 cubins`.
pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_unit() {
        let sizes = [0, 1023, 1024, 1536, (1 << 20) - 1, 512 << 20, 3 << 40];
        let formatted = sizes.map(bytes);
        assert_eq!(formatted, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "512.0 MiB", "3.0 TiB"]);
        let ages = [0, 59, 60, 7_199, 86_400 * 3].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0 s", "59 s", "1 min", "1 h", "3 d"]);
        assert_eq!((count(1, "cubin"), count(0, "cubin")), ("1 cubin".into(), "0 cubins".into()));
    }

    #[test]
    fn long_text_is_broken_between_words() {
        let text = ["word"; 41].join(" ");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1);
        let broken = wrapped(&text, 3);
        let lines: Vec<_> = broken.lines().collect();
        assert_eq!(lines.iter().map(|line| line.len()).collect::<Vec<_>>(), [99, 102, 7]);
        assert_eq!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "), text);
    }
}
