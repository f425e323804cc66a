//! A share of the blocks of each row, another one for each head.

use super::{Contract, Seen, bounded};
use crate::{Element, Observer, Result};
use proxyattn_codegen::PerHead;

impl Contract for PerHead {
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, _: &dyn Observer) -> Result<Vec<u32>> {
        // A plan has as many heads as the layer.
        let shares = seen.inputs.layer.map_or(&[][..], |layer| layer.millionths());
        bounded(seen.plan, |head, _| shares[head % shares.len()] as usize)
    }
}
