//! Scorers: from inputs to a score for each block of each row.

mod proxy;

use super::inputs::Scale;
use super::pack::Keys;
use crate::inputs::Inputs;
use crate::{Element, Observer, Plan, Result};
use proxyattn_codegen::Scorer;

/// A scorer that has looked at the inputs.
pub(super) trait Prepared {
    /// Scores every block that a row sees.
    fn score(&self, plan: &Plan, observer: &dyn Observer) -> Result<Scores>;
}

/// Lays out what the plan's scorer looks at: the one place that tells scorers apart.
pub(super) fn prepare<'a, T: Element>(
    plan: &Plan,
    inputs: &Inputs<'_, T>,
    keys: &'a Keys,
    scale: Scale,
) -> Result<Box<dyn Prepared + 'a>> {
    Ok(match plan.spec().scorer {
        Scorer::Proxy(proxy) => Box::new(proxy::Proxies::pool(plan, &proxy, inputs, keys, scale)?),
    })
}

/// The score, as a base-2 logarithm, of each block of each row: `[batch · group][row][block]`.
pub(super) struct Scores {
    data: Vec<f32>,
    rows: usize,
    blocks: usize,
}

impl Scores {
    /// The scores of the blocks of one row; those that the row does not see are meaningless.
    pub(super) fn row(&self, sequence: usize, row: usize) -> &[f32] {
        &self.data[(sequence * self.rows + row) * self.blocks..][..self.blocks]
    }
}
