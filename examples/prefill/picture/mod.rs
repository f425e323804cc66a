//! The picture: where the attention of a head truly is, which blocks it visits, and what it misses.

use super::{
    measure::Outcome,
    report::{configuration, head_name},
};
use kit::chart::{HeadTiles, OneHead};

/// The tiles of an outcome, as the picture asks for them.
pub(super) struct Tiles<'a> {
    outcome: &'a Outcome,
    /// For each row, the place in the list of rows whose mass is known: its own, or the nearest below it.
    known: Vec<usize>,
}

impl<'a> Tiles<'a> {
    /// The tiles of all heads.
    pub(super) fn new(outcome: &'a Outcome) -> Self {
        let known = outcome.mass.rows();
        let place = |row| known.partition_point(|&k| k < row).min(known.len() - 1);
        let rows = outcome.selection.geometry().rows();
        Self { outcome, known: (0..rows).map(place).collect() }
    }

    /// The picture, with the head large that misses most.
    pub(super) fn picture(&self, source: &str) -> OneHead<'_> {
        let outcome = self.outcome;
        let p = &outcome.problem;
        let heads: Vec<_> = outcome
            .heads
            .iter()
            .enumerate()
            .map(|(head, report)| (head_name(outcome, head), report.density, report.recall))
            .collect();
        let most_missed = (0..heads.len()).min_by(|&a, &b| heads[a].2.total_cmp(&heads[b].2));
        OneHead {
            title: format!(
                "{:.0}% of the tiles hold {:.0}% of the attention",
                100.0 * outcome.density,
                100.0 * outcome.recall
            ),
            subject: vec![
                format!("{source} · {} tokens · {} heads on {} KV heads", p.kv_len, p.heads, p.kv_heads),
                configuration(&outcome.spec, outcome.groups, p.kv_heads),
            ],
            head: most_missed.unwrap_or(0),
            heads,
            tiles: self,
        }
    }
}

impl HeadTiles for Tiles<'_> {
    fn tiles(&self) -> [usize; 2] {
        let geometry = self.outcome.selection.geometry();
        [geometry.rows(), geometry.blocks()]
    }

    fn tokens(&self) -> [usize; 2] {
        [self.outcome.problem.q_len, self.outcome.problem.kv_len]
    }

    fn visible(&self, row: usize) -> usize {
        self.outcome.selection.geometry().visible(row)
    }

    fn mass(&self, head: usize, row: usize, block: usize) -> f32 {
        self.outcome.mass.row(head, self.known[row])[block]
    }

    fn is_visited(&self, head: usize, row: usize, block: usize) -> bool {
        let heads = self.outcome.problem.heads;
        self.outcome.selection.blocks(head / heads, head % heads, row).contains(&(block as u32))
    }
}
