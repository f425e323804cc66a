//! Tokens that grow with the context, by another line for each head.

use super::{Contract, Seen, bounded};
use crate::layer::Layer;
use crate::{Element, Observer, Result};
use proxyattn_codegen::Spans;

impl Contract for Spans {
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, _: &dyn Observer) -> Result<Vec<u32>> {
        // A plan has as many heads as the layer.
        let problem = seen.plan.problem();
        let tokens = |layer: &Layer, head: usize| layer.span(head % problem.heads, problem.kv_len);
        bounded(seen.plan, |head, _| seen.inputs.layer.map_or(0, |layer| tokens(layer, head)))
    }
}
