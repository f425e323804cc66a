//! `spans`: tokens that grow with the context, by another line for each head.

use super::Contract;
use crate::{Grid, Oracle};
use proxyattn_codegen::{Budget, Spans};
use proxyattn_runtime::HeadSpan;

/// The span of a head of the layer that every suite loads: one that stays, one that grows, both, and one that begins late.
pub(super) fn span(head: usize) -> HeadSpan {
    let (alpha, beta) = [(96, 0.0), (0, 0.3), (130, 0.25), (-256, 1.0), (-1024, 0.5)][head % 5];
    HeadSpan { alpha, beta }
}

/// Tokens of a head's span, of so many keys.
fn tokens(head: usize, kv_len: usize) -> usize {
    let HeadSpan { alpha, beta } = span(head);
    let grown = (beta * 1e6).round() as i64 * kv_len as i64 / 1_000_000;
    usize::try_from(i64::from(alpha) + grown).unwrap_or(0)
}

impl Contract for Spans {
    fn examples() -> Vec<Budget> {
        vec![Budget::Spans(Spans { min_tokens: 64 })]
    }

    fn wanted(&self, grid: &Grid, _: usize, measured: usize) -> usize {
        measured.max(self.min_tokens as usize).div_ceil(grid.spec.block.kv as usize)
    }

    fn measured(&self, oracle: &Oracle, _: usize) -> Vec<Vec<usize>> {
        (0..oracle.heads).map(|head| vec![tokens(head, oracle.kv_len); oracle.rows()]).collect()
    }
}
