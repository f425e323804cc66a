//! The visited blocks as text.

use super::Selection;
use core::fmt;

/// Columns of the largest map. A character is about twice as high as wide, so there are half as many lines.
const COLUMNS: usize = 64;
/// A place of a map by the quarters of its blocks that are visited, rounded up; the last is all of them.
const SHADES: [char; 6] = ['·', '░', '▒', '▓', '▓', '█'];

/// The blocks that one head visits, or all heads together, as text: from [`Selection::map`] or a selection's own `Display`.
///
/// Rows of query blocks go down, blocks of keys to the right, 64 characters at most: where there are more blocks, a character
/// stands for several. `█` is a place of which every block is visited, `▓` one of which more than half are, `▒` up to half, `░`
/// up to a quarter, `·` none. A space is what no query of the row sees.
///
/// ```
/// use proxyattn::prelude::*;
/// use proxyattn::synthetic::Synthetic;
///
/// #[proxy_attention(budget = ratio(0.25))]
/// struct Quarter;
///
/// let inputs = Synthetic { tokens: 512, ..Synthetic::DEFAULT }.generate()?;
/// let attention = Quarter::load(&Device::cpu())?;
/// let trace = attention.prefill_traced(&inputs.q, &inputs.k, &inputs.v, &())?;
/// let map = trace.selection.map(0, 3).to_string();
/// assert!(map.starts_with("head 3: 42% of the blocks, 2 of 8 in the last row\n"), "{map}");
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BlockMap<'a> {
    selection: &'a Selection,
    /// A head of a sequence; `None` for all.
    head: Option<(usize, usize)>,
}

impl Selection {
    /// The blocks that a head visits, to be printed.
    ///
    /// # Panics
    /// If an index is out of bounds.
    pub fn map(&self, batch: usize, head: usize) -> BlockMap<'_> {
        assert!(batch < self.batch && head < self.heads, "head {head} of sequence {batch}");
        BlockMap { selection: self, head: Some((batch, head)) }
    }
}

/// What is visited by all heads together, and the range of their densities.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BlockMap { selection: self, head: None }.fmt(f)
    }
}

impl BlockMap<'_> {
    /// The heads that are drawn.
    fn heads(&self) -> impl Iterator<Item = (usize, usize)> + Clone + use<> {
        let (batches, heads) = match self.head {
            Some((batch, head)) => (batch..batch + 1, head..head + 1),
            None => (0..self.selection.batch, 0..self.selection.heads),
        };
        batches.flat_map(move |batch| heads.clone().map(move |head| (batch, head)))
    }

    fn title(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selection = self.selection;
        let last = selection.geometry.rows() - 1;
        let blocks = selection.geometry.visible(last);
        let percent = |density: f64| format!("{:.0}%", 100.0 * density);
        match self.head {
            Some((batch, head)) => {
                let sequence =
                    if selection.batch > 1 { format!(" of sequence {batch}") } else { String::new() };
                let (density, count) =
                    (selection.head_density(batch, head), selection.count(batch, head, last));
                writeln!(
                    f,
                    "head {head}{sequence}: {} of the blocks, {count} of {blocks} in the last row",
                    percent(density)
                )
            }
            None => {
                let densities = self.heads().map(|(batch, head)| selection.head_density(batch, head));
                let (least, most) =
                    densities.fold((1.0, 0.0), |(least, most), d| (d.min(least), d.max(most)));
                let counts = self.heads().map(|(batch, head)| selection.count(batch, head, last));
                let (few, many) =
                    counts.fold((usize::MAX, 0), |(few, many), count| (count.min(few), count.max(many)));
                writeln!(
                    f,
                    "{} of the blocks: {} to {} by head, {few} to {many} of {blocks} in the last row",
                    percent(selection.density()),
                    percent(least),
                    percent(most)
                )
            }
        }
    }
}

impl fmt::Display for BlockMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.title(f)?;
        let geometry = &self.selection.geometry;
        let (rows, blocks) = (geometry.rows(), geometry.blocks());
        let wide = blocks.max(rows).div_ceil(COLUMNS);
        let high = if rows > 1 { 2 * wide } else { 1 };
        let columns = blocks.div_ceil(wide);
        let heads = self.heads().count();
        for first in (0..rows).step_by(high) {
            let (mut visible, mut visited) = (vec![0u64; columns], vec![0u64; columns]);
            for row in first..rows.min(first + high) {
                (0..geometry.visible(row)).for_each(|block| visible[block / wide] += heads as u64);
                for (batch, head) in self.heads() {
                    let list = self.selection.blocks(batch, head, row);
                    list.iter().for_each(|&block| visited[block as usize / wide] += 1);
                }
            }
            let line: String =
                visited.iter().zip(&visible).map(|(&visited, &visible)| shade(visited, visible)).collect();
            writeln!(f, "  {}", line.trim_end())?;
        }
        let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let place = format!("{} × {}", plural(high, "row"), plural(wide, "block"));
        writeln!(
            f,
            "  {place} a character, visited: █ all, ▓ over half, ▒ up to half, ░ up to a quarter, · none"
        )
    }
}

fn shade(visited: u64, visible: u64) -> char {
    match (visited, visible) {
        (_, 0) => ' ',
        (visited, visible) if visited >= visible => SHADES[5],
        (visited, visible) => SHADES[(4 * visited).div_ceil(visible) as usize],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plan, Problem};
    use proxyattn_codegen::{Budget, Spec};

    /// Two heads of one group: the first visits `few` blocks of its list, the second all of them.
    fn selection(tokens: usize, few: usize) -> Selection {
        let problem = Problem { batch: 1, heads: 2, kv_heads: 1, q_len: tokens, kv_len: tokens };
        let plan = Plan::new(&Spec { budget: Budget::All, ..Spec::DEFAULT }, &problem).unwrap();
        let mut selection = Selection::dense(&plan).unwrap();
        let rows = selection.geometry.rows();
        selection.counts[..rows].iter_mut().for_each(|count| *count = (*count).min(few as u32));
        selection
    }

    #[test]
    fn a_head_is_drawn_as_it_is() {
        let selection = selection(64 * 6, 2);
        assert_eq!(
            selection.map(0, 0).to_string(),
            "head 0: 52% of the blocks, 2 of 6 in the last row\n  \
             ██\n  ██··\n  ██····\n  \
             2 rows × 1 block a character, visited: █ all, ▓ over half, ▒ up to half, ░ up to a quarter, · none\n"
        );
        assert_eq!(
            selection.to_string(),
            "76% of the blocks: 52% to 100% by head, 2 to 6 of 6 in the last row\n  \
             ██\n  ██▒▒\n  ██▒▒▒▒\n  \
             2 rows × 1 block a character, visited: █ all, ▓ over half, ▒ up to half, ░ up to a quarter, · none\n"
        );
    }

    #[test]
    fn a_long_context_is_no_wider_than_a_terminal() {
        let map = selection(64 * 500, 1).map(0, 0).to_string();
        let lines: Vec<_> = map.lines().collect();
        assert!(lines.len() == 1 + 500usize.div_ceil(16) + 1, "{map}");
        assert_eq!(lines[1..lines.len() - 1].iter().map(|line| line.trim().chars().count()).max(), Some(63));
        assert!(lines[5].starts_with("  ░·"), "the first of eight blocks: {map}");
    }

    #[test]
    fn one_row_is_one_line() {
        let map = selection(10, 1).to_string();
        assert_eq!(map.lines().nth(1), Some("  █"));
        assert!(map.contains("1 row × 1 block a character"), "{map}");
    }
}
