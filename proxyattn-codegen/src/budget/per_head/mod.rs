//! The budget `per_head`: a share of the blocks of each row, another one for each head of each layer.

use super::{Contract, OfLayer, RowView, rules};
use crate::abi::{Buffer, Scalar, Scratch, Size};
use crate::pipeline::{Cx, Part};
use crate::{Block, Key, Share, syntax};

/// `per_head(0.1, min_tokens = 512)`: on average over the heads of a model this share of the blocks that a row can see, for
/// each head as much of it as a table says (`SparseMM`, arXiv 2506.05344: scores of visual heads).
///
/// The table has a weight w for each head of each layer, 1 on average, and a head wants `⌈share · w · visible⌉` blocks of a
/// row, with `share · w` to the nearest millionth and at most 1; at least `min_tokens` tokens. A head of weight 0 is
/// *pruned*: it wants none, and its output is zero.
///
/// The table is no part of the configuration: weights come with the layer when a kernel is loaded, so that all layers have
/// the same kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerHead {
    /// [Share], in (0, 1], of a head of weight 1.
    pub share: f64,
    /// Tokens below which the budget of no row of a head that is not pruned falls.
    pub min_tokens: u32,
}

impl PerHead {
    /// The share of the documentation's example, for which the attribute has no default.
    pub const DEFAULT: PerHead = PerHead { share: 0.1, min_tokens: 512 };
}

kind! {
    Key::Budget, PerHead, "per_head", like "per_head(0.1)";
    parts {
        share: syntax::Part::like("0.1").needed("the share of blocks on average").unnamed(),
        min_tokens: syntax::Part::like("512"),
    }
    rules |per_head, spec| {
        share: Share::is_valid(per_head.share), else rules::not_a_share(
            "`per_head` is a share of a row's blocks", per_head.share, |share| format!("per_head({share})")
        ),
        min_tokens: rules::min_tokens_hold(per_head.min_tokens, spec.block),
            else rules::bad_min_tokens(per_head.min_tokens, spec.block),
    }
}

impl Contract for PerHead {
    /// `measured` are the millionths of the head's share.
    fn wanted(&self, row: RowView, measured: u64) -> u64 {
        if measured == 0 {
            return 0;
        }
        let share = (row.visible * measured).div_ceil(Share::WHOLE.into());
        share.max(self.min_tokens.div_ceil(row.block_kv).into())
    }

    fn of_layer(&self) -> Option<OfLayer> {
        Some(OfLayer::Shares(self.share))
    }

    fn differs_within_group(&self) -> bool {
        true
    }

    fn floor_tokens(&self, _: Block) -> u64 {
        self.min_tokens.into()
    }

    /// Floors come on top.
    fn expected_share(&self, floor: f64) -> f64 {
        floor.max(self.share)
    }

    fn meaning(&self) -> String {
        let Self { share, min_tokens } = self;
        format!(
            "on average {share} of the blocks that a row can see, for each head by its weight, at least {min_tokens} tokens"
        )
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        &["budget/per_head/wanted.cuh"]
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let dims = vec![Size::Scalar(Scalar::Heads)];
        Part {
            buffers: vec![Buffer {
                scratch: Scratch::HeadShares,
                dims,
                holds: "a head's share of a row's blocks in millionths, of the layer; 0 for a pruned head",
            }],
            defines: vec![("MIN_BLOCKS", self.min_tokens.div_ceil(cx.spec.block.kv).to_string())],
            ..Part::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;

    #[test]
    fn a_head_wants_its_share_and_the_floor() {
        let budget = Budget::PerHead(PerHead { share: 0.1, min_tokens: 256 });
        let row = RowView { visible: 100, last_visible: 100, block_kv: 64 };
        assert_eq!(
            [0, 1, 70_000, 100_001, 1_000_000].map(|share| budget.wanted(row, share)),
            [0, 4, 7, 11, 100]
        );
        assert_eq!(budget.to_string(), "per_head(0.1, min_tokens = 256)");
        assert!(
            budget.of_layer() == Some(OfLayer::Shares(0.1))
                && budget.differs_within_group()
                && budget.measures().is_none()
        );
        assert_eq!(Budget::ratio(0.1).of_layer(), None);
    }
}
