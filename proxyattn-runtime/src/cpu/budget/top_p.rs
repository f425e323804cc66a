//! The fewest blocks of each row that hold a share of what its blocks weigh by their scores.

use super::held::{Held, par_made};
use super::{Contract, Seen, bounded};
use crate::cpu::select;
use crate::{Element, Observer, Result, Stage};
use proxyattn_codegen::{Share, TopP};

impl Contract for TopP {
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, observer: &dyn Observer) -> Result<Vec<u32>> {
        let (plan, geometry) = (seen.plan, seen.plan.geometry());
        let (rows, heads, share) = (geometry.rows(), plan.heads_per_group(), Share::of(self.share));
        let of_all = plan.problem().batch * plan.groups() * rows;
        observer.begin(Stage::Budget, of_all);
        let counts = par_made(of_all, |i| {
            let (sequence, row) = (i / rows, i % rows);
            let scores = seen.scores.row(sequence, row);
            let order = select::ranking(&geometry, row, scores)?;
            let top = order.iter().map(|&block| scores[block as usize]).fold(f32::NEG_INFINITY, f32::max);
            let weight = |&block: &u32| f64::from(scores[block as usize] - top).exp2();
            observer.advance(Stage::Budget, 1);
            Ok(Held::of(order.iter().map(weight))?.fewest(share))
        })?;
        bounded(plan, |head, row| counts[head / heads * rows + row])
    }
}
