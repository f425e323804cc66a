//! What a budget asks of the layer that a kernel is loaded for.

use crate::abi::Scratch;

/// What comes with the layer for each head.
///
/// ```
/// use proxyattn_codegen::{Budget, OfLayer, Spans};
///
/// assert_eq!(Budget::Spans(Spans::DEFAULT).of_layer(), Some(OfLayer::Spans));
/// assert_eq!(Budget::ratio(0.1).of_layer(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OfLayer {
    /// A weight, where a head of weight 1 has this share of a row's blocks: `measured` are the millionths of a head's share.
    Shares(f64),
    /// A span: `measured` are its tokens.
    Spans,
}

impl OfLayer {
    /// The buffer in which it is on a GPU.
    pub const fn scratch(self) -> Scratch {
        match self {
            OfLayer::Shares(_) => Scratch::HeadShares,
            OfLayer::Spans => Scratch::HeadSpans,
        }
    }
}
