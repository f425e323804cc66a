//! The budget `fitted`: the mass of a few blocks of each head's list, the curve that the others follow, and how many hold a
//! share of it.

mod kernels;
mod places;

pub use places::Places;

use super::mass::{Rows, rows};
use super::{Contract, Measured, RowView, rules};
use crate::pipeline::{Cx, Part};
use crate::{Block, Key, Share, syntax};

/// `fitted(0.7, min_tokens = 512)`: as [`Dynamic`](crate::Dynamic), the fewest blocks of the list that hold a share of the
/// softmax mass of the head's own last queries, but of the mass as a curve has it that is fitted to a few of its blocks
/// (Tactic, arXiv 2502.12216).
///
/// The n blocks of the last row have ranks x = 1, 2, … in the order in which the list of the head's group is filled. [`Places`]
/// are measured: the first ranks, and two windows around n/10 and 6n/10, a twenty-fifth of the keys of a long context. With the
/// last `min(block.q, q_len)` queries t of the head, a measured block weighs `y(t, x) = Σ_s exp(scale · q(t) · k(s))` over its
/// keys. Of any other rank it is taken to be `a(t) / x + b(t)`, through the means of y and 1 / x over both windows: with means
/// y₁, y₂ of y and r₁, r₂ of 1 / x, `a = (y₁ − y₂) / (r₁ − r₂)` and `b = y₁ − a · r₁`. The curve never rises nor falls below 0:
/// where a < 0, a = 0 and b = (y₁ + y₂) / 2; where b < 0, b = 0 and a = y₁ / r₁.
///
/// So query t weighs `Y(t) = Σ y(t, x)` over the first ranks `+ Σ (a(t) / x + b(t))` over all others, windows among them, and
/// rank x holds the mass `e(x) = Σ_t y(t, x) / Y(t)`, y or its curve. The count is the smallest c with
/// `Σ_{x ≤ c} e(x) ≥ share · Σ e(x)`. Other rows have the same share of the blocks that they see, and no row less than
/// `min_tokens`. Where the list is badly ordered, the curve is flatter and the count larger.
///
/// Of the synthetic inputs of `proxyattn::synthetic`, `fitted(0.7)` visits 0.075 of the blocks of 32768 tokens, where
/// `dynamic(gamma = 0.7, order = list, weigh = none)`, which measures every block, visits 0.073, and 0.074 of those of 16384,
/// where it visits 0.075. Windows of one or two blocks say little: of 4096 tokens it is 0.21 instead of 0.13.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// [Share] of the mass, in (0, 1], to the nearest millionth.
    pub share: f64,
    /// Tokens below which no row's budget falls.
    pub min_tokens: u32,
}

impl Fitted {
    /// The share of the documentation's example, for which the attribute has no default, and the default floor.
    pub const DEFAULT: Fitted = Fitted { share: 0.7, min_tokens: 512 };
}

kind! {
    Key::Budget, Fitted, "fitted", like "fitted(0.7)";
    parts {
        share: syntax::Part::like("0.7").needed("the share of the softmax mass").unnamed(),
        min_tokens: syntax::Part::like("512"),
    }
    rules |fitted, spec| {
        share: Share::is_valid(fitted.share), else rules::not_a_share(
            "`fitted` is a share of the softmax mass", fitted.share, |share| format!("fitted({share})")
        ),
        min_tokens: rules::min_tokens_hold(fitted.min_tokens, spec.block),
            else rules::bad_min_tokens(fitted.min_tokens, spec.block),
    }
}

impl Contract for Fitted {
    fn wanted(&self, row: RowView, measured: u64) -> u64 {
        Rows::Ratio.wanted(row, measured, self.min_tokens)
    }

    fn measures(&self) -> Option<Measured> {
        Some(Measured::Heads)
    }

    fn differs_within_group(&self) -> bool {
        true
    }

    fn floor_tokens(&self, _: Block) -> u64 {
        self.min_tokens.into()
    }

    /// As `dynamic(gamma = 0.7, weigh = none)` in the order of the list, which it stands for.
    fn expected_share(&self, floor: f64) -> f64 {
        floor.max(0.12)
    }

    fn measured_share(&self, share: f64, causal: bool) -> f64 {
        Rows::Ratio.measured_share(share, causal)
    }

    fn meaning(&self) -> String {
        let Self { share, min_tokens } = self;
        format!(
            "the first blocks of the list that hold {share} of a curve fitted to the last row's mass, at least {min_tokens} \
             tokens; the same share of every row"
        )
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        rows::WANTED
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let own = Part {
            buffers: vec![Measured::Heads.buffer("blocks that hold the share of the curve")],
            defines: vec![("SHARE_MILLIONTHS", Share::of(self.share).millionths().to_string())],
            ..Part::default()
        };
        kernels::part(cx).and(rows::part(cx, Rows::Ratio, self.min_tokens)).and(own)
    }
}
