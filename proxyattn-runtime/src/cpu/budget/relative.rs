//! The blocks of each row that weigh at least a share of what its heaviest weighs.

use super::held::par_made;
use super::{Contract, Seen, bounded};
use crate::{Element, Observer, Result, Stage};
use proxyattn_codegen::Relative;

/// Steps of a unit of log2 in which the share is given.
const STEPS: f32 = 4096.0;

impl Contract for Relative {
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, observer: &dyn Observer) -> Result<Vec<u32>> {
        let (plan, geometry) = (seen.plan, seen.plan.geometry());
        let (rows, heads, below) = (geometry.rows(), plan.heads_per_group(), self.steps() as f32 / STEPS);
        let of_all = plan.problem().batch * plan.groups() * rows;
        observer.begin(Stage::Budget, of_all);
        let counts = par_made(of_all, |i| {
            let (sequence, row) = (i / rows, i % rows);
            let scores = &seen.scores.row(sequence, row)[..geometry.visible(row)];
            let lowest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max) - below;
            let is_pinned = geometry.pins(row);
            let kept =
                scores.iter().enumerate().filter(|&(block, &score)| is_pinned(block) || score >= lowest);
            observer.advance(Stage::Budget, 1);
            Ok(kept.count())
        })?;
        bounded(plan, |head, row| counts[head / heads * rows + row])
    }
}
