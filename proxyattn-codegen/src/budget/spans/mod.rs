//! The budget `spans`: tokens that grow with the context, by another line for each head of each layer.

use super::{Contract, OfLayer, RowView, rules};
use crate::abi::{Buffer, Scalar, Scratch, Size};
use crate::pipeline::{Cx, Part};
use crate::{Block, Key, syntax};

/// `spans(min_tokens = 128)`: each head visits as many tokens of every row as its *span* has, which grows with the context
/// (`MoA`, arXiv 2406.14909).
///
/// A span is a line: of a call over `kv_len` keys it is `α + ⌊β · kv_len⌋` tokens, at least `min_tokens`, with β to the nearest
/// millionth. A head wants the blocks that it fills, in every row, those included that are always kept: in `MoA`'s sense a span
/// is its sink and its window together. With `scorer = nearest` lists are `MoA`'s; any scorer may rank.
///
/// α and β are no part of the configuration: they come with the layer when a kernel is loaded, so that all layers have the same
/// kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spans {
    /// Tokens below which no span falls.
    pub min_tokens: u32,
}

impl Spans {
    /// `budget = spans` without any part: `MoA`'s minimum.
    pub const DEFAULT: Spans = Spans { min_tokens: 128 };
}

kind! {
    Key::Budget, Spans, "spans", like "spans(min_tokens = 128)";
    parts {
        min_tokens: syntax::Part::like("128"),
    }
    rules |spans, spec| {
        min_tokens: rules::min_tokens_hold(spans.min_tokens, spec.block),
            else rules::bad_min_tokens(spans.min_tokens, spec.block),
    }
}

impl Contract for Spans {
    /// `measured` are the tokens of the head's span.
    fn wanted(&self, row: RowView, measured: u64) -> u64 {
        measured.max(self.min_tokens.into()).div_ceil(row.block_kv.into())
    }

    fn of_layer(&self) -> Option<OfLayer> {
        Some(OfLayer::Spans)
    }

    fn differs_within_group(&self) -> bool {
        true
    }

    fn floor_tokens(&self, _: Block) -> u64 {
        self.min_tokens.into()
    }

    /// `MoA`'s plans are those that keep at most half of the keys, on average over heads.
    fn expected_share(&self, floor: f64) -> f64 {
        floor.max(0.5)
    }

    fn meaning(&self) -> String {
        format!("as many tokens of every row as the head's span has, at least {}", self.min_tokens)
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        &["budget/spans/wanted.cuh"]
    }

    fn part(&self, _: &Cx<'_>) -> Part {
        Part {
            buffers: vec![Buffer {
                scratch: Scratch::HeadSpans,
                dims: vec![Size::Scalar(Scalar::Heads), 2.into()],
                holds: "a head's tokens whatever the context is, signed, and those for a million keys",
            }],
            defines: vec![("MIN_TOKENS", self.min_tokens.to_string())],
            ..Part::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;

    #[test]
    fn a_head_wants_the_blocks_of_its_span_in_every_row() {
        let budget = Budget::Spans(Spans::DEFAULT);
        let rows = [10, 100].map(|visible| RowView { visible, last_visible: 100, block_kv: 64 });
        let wanted = |span| rows.map(|row| budget.wanted(row, span));
        assert_eq!([0, 128, 129, 6400].map(wanted), [[2; 2], [2; 2], [3; 2], [100; 2]]);
        assert_eq!(budget.of_layer(), Some(OfLayer::Spans));
        assert!(budget.differs_within_group() && budget.measures().is_none());
    }
}
