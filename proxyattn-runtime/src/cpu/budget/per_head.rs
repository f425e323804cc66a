//! A share of the blocks of each row, another one for each head.

use super::{Contract, Seen, bounded};
use crate::{Element, Observer, Result};
use proxyattn_codegen::PerHead;

impl Contract for PerHead {
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, _: &dyn Observer) -> Result<Vec<u32>> {
        // A plan has as many heads as the layer.
        let heads = seen.plan.problem().heads;
        bounded(seen.plan, |head, _| seen.inputs.layer.map_or(0, |layer| layer.millionths(head % heads)))
    }
}
