//! Tables that fit the terminal.

use crate::style::{TITLE, painted};
use crate::width::broken;

/// A column of text is not made narrower than this.
const NARROWEST: usize = 20;
/// Columns before a table, and between two columns of it.
const GAP: usize = 2;

/// A table whose columns are as wide as their widest cell. The first column and those in `left` are left-aligned, the
/// others right-aligned.
///
/// Where it is too wide, the columns in `left` get narrower and their cells several lines. Where that is not enough, a row is
/// its first cell and, below that, the others with the names of their columns.
pub(crate) struct Table {
    head: Vec<&'static str>,
    left: &'static [usize],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// `left` lists the left-aligned columns other than the first.
    pub(crate) fn new(head: &[&'static str], left: &'static [usize]) -> Self {
        Self { head: head.to_vec(), left, rows: Vec::new() }
    }

    /// Adds a row; cells that it lacks at its end are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each indented by two spaces and at most `columns` wide.
    pub(crate) fn print(&self, columns: usize) -> String {
        match self.widths(columns) {
            Some(widths) => self.grid(&widths),
            None => self.stacked(columns),
        }
    }

    /// The columns' widths, if they fit.
    fn widths(&self, columns: usize) -> Option<Vec<usize>> {
        let widest = |column: usize, of: &dyn Fn(&str) -> usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| of(cell)).chain([length(self.head[column])]).max().unwrap_or(0)
        };
        let mut widths: Vec<_> = (0..self.head.len()).map(|column| widest(column, &length)).collect();
        let least: Vec<_> = (0..self.head.len())
            .map(|column| match self.left.contains(&column) {
                true => widest(column, &longest_word).max(widths[column].min(NARROWEST)),
                false => widths[column],
            })
            .collect();
        while widths.iter().sum::<usize>() + GAP * widths.len() > columns {
            // The column that costs the fewest lines, and of those the widest.
            let mut candidates: Vec<_> = (0..widths.len()).filter(|&at| widths[at] > least[at]).collect();
            candidates.sort_by_key(|&at| core::cmp::Reverse(widths[at]));
            let narrower = |at: usize| {
                let mut widths = widths.clone();
                widths[at] -= 1;
                widths
            };
            widths = candidates.into_iter().map(narrower).min_by_key(|widths| self.height(widths))?;
        }
        Some(widths)
    }

    /// The number of lines that rows take.
    fn height(&self, widths: &[usize]) -> usize {
        let lines = |(cell, &width): (&String, &usize)| broken(cell, width, 0).len();
        self.rows.iter().map(|row| row.iter().zip(widths).map(lines).max().unwrap_or(0)).sum()
    }

    fn grid(&self, widths: &[usize]) -> String {
        let head: Vec<String> = self.head.iter().map(ToString::to_string).collect();
        let mut out = String::new();
        for (index, row) in [&head].into_iter().chain(&self.rows).enumerate() {
            let cells: Vec<_> = row.iter().zip(widths).map(|(cell, &width)| broken(cell, width, 0)).collect();
            for at in 0..cells.iter().map(Vec::len).max().unwrap_or(1) {
                let mut line = String::new();
                for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
                    let text = cell.get(at).map_or("", String::as_str);
                    line += &match column == 0 || self.left.contains(&column) {
                        true => format!("  {text:<width$}"),
                        false => format!("  {text:>width$}"),
                    };
                }
                let line = line.trim_end();
                out += &match index {
                    0 => format!("  {}\n", painted(TITLE, line.trim_start())),
                    _ => format!("{line}\n"),
                };
            }
        }
        out
    }

    fn stacked(&self, columns: usize) -> String {
        let mut out = String::new();
        for row in &self.rows {
            if let Some(first) = row.first().filter(|first| !first.is_empty()) {
                out += &format!("  {}\n", painted(TITLE, first));
            }
            let cells = row.iter().zip(&self.head).skip(1).filter(|(cell, _)| !cell.is_empty());
            let mut line = String::new();
            for (cell, name) in cells {
                let next = format!("{name} {cell}");
                if !line.is_empty() && 2 * GAP + length(&line) + GAP + length(&next) + 1 > columns {
                    line.push(',');
                    out += &item(&core::mem::take(&mut line), columns);
                }
                line += &if line.is_empty() { next } else { format!(", {next}") };
            }
            out += &item(&line, columns);
        }
        out
    }
}

/// A line of a stacked row.
fn item(line: &str, columns: usize) -> String {
    let lines = broken(&format!("    {line}"), columns, 6);
    lines.iter().filter(|line| !line.trim().is_empty()).map(|line| format!("{line}\n")).collect()
}

fn length(cell: &str) -> usize {
    cell.chars().count()
}

fn longest_word(cell: &str) -> usize {
    cell.split(' ').map(length).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(columns: usize) -> String {
        let mut table = Table::new(&["buffer", "size", "holds"], &[2]);
        table.row(["lists".into(), "4.0 MiB".into(), "the blocks of keys that every head visits".into()]);
        table.row(["counts".into(), "64 B".into()]);
        anstream::adapter::strip_str(&table.print(columns)).to_string()
    }

    #[test]
    fn a_table_fits() {
        let wide = "  buffer     size  holds\n  \
             lists   4.0 MiB  the blocks of keys that every head visits\n  \
             counts     64 B\n";
        assert_eq!(printed(usize::MAX), wide);
        assert_eq!(printed(60), wide);
        let narrow = "  buffer     size  holds\n  \
             lists   4.0 MiB  the blocks of keys\n                   \
             that every head visits\n  \
             counts     64 B\n";
        assert_eq!(printed(41), narrow);
        let stacked = "  lists\n    size 4.0 MiB,\n    holds the blocks of keys that\n      every head visits\n  \
             counts\n    size 64 B\n";
        assert_eq!(printed(35), stacked);
        for columns in 24..70 {
            assert!(printed(columns).lines().all(|line| line.chars().count() <= columns), "{columns}");
        }
    }
}
