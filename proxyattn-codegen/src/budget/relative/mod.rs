//! The budget `relative`: the blocks of each row that weigh a share of what its heaviest weighs.

use super::{Contract, RowView, rules};
use crate::pipeline::{Cx, Part};
use crate::select::{self, ByScore};
use crate::{Key, Share, syntax};

/// `relative(0.02)`: the blocks of each row that weigh at least a share α of what the row's heaviest block weighs
/// (`FlashPrefill`, `deal_output_score`).
///
/// With the scorer's log-scores x of the blocks that a row sees, block j weighs `exp(x(j))`, so it is kept where
/// `x(j) ≥ max x + ln α`; the scorer's struct says what a weight is, and constants that its scores have in common cancel. As
/// in `FlashPrefill`, the maximum is over all blocks that the row sees, also those that are always kept: a sink or a diagonal
/// that outweighs all others by more than 1 / α leaves none of them. Blocks that are always kept come on top. There is no
/// floor of tokens. All heads of a group have the same blocks; each row has its own count.
///
/// Nothing has to be sorted, and weights are not added up: one pass over a row's scores finds the maximum, another the blocks,
/// both inside `select`. In base 2 and in steps of a 4096th, in which kernels compare scores, ln α is
/// [`steps`](Self::steps) below the maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relative {
    /// α: [share](Share) of the row's largest weight, in (0, 1], to the nearest millionth.
    pub alpha: f64,
}

impl Relative {
    /// The share of the documentation's example, for which the attribute has no default.
    pub const DEFAULT: Relative = Relative { alpha: 0.02 };

    /// How far below the best a score may lie, in steps of a 4096th of log₂: `-4096 · log₂ α`, rounded.
    pub fn steps(&self) -> u32 {
        let alpha = f64::from(Share::of(self.alpha).millionths()) / f64::from(Share::WHOLE);
        (-alpha.log2() * f64::from(select::STEPS_PER_LOG2)).round() as u32
    }
}

kind! {
    Key::Budget, Relative, "relative", like "relative(0.02)";
    parts {
        alpha: syntax::Part::like("0.02").needed("the share of a row's largest weight").unnamed(),
    }
    rules |relative, spec| {
        alpha: Share::is_valid(relative.alpha), else rules::not_a_share(
            "`relative` is a share of a row's largest weight", relative.alpha, |share| format!("relative({share})")
        ),
    }
}

impl Contract for Relative {
    fn wanted(&self, _: RowView, measured: u64) -> u64 {
        measured
    }

    fn by_score(&self) -> Option<ByScore> {
        Some(ByScore {
            file: "budget/relative/select.cuh",
            words: &[("SELECT_HIGHEST", select::WARPS), ("SELECT_KEPT", select::WARPS)],
            memory: "select:    the samples' levels, two words a warp, and a rank for each block",
        })
    }

    /// It depends on the inputs alone: of real contexts of 16384 tokens, α = 0.02 of `proxy`'s scores keeps a sixth.
    fn expected_share(&self, floor: f64) -> f64 {
        floor.max(0.17)
    }

    fn meaning(&self) -> String {
        format!("the blocks of every row that weigh {} of what its heaviest weighs", self.alpha)
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        &[]
    }

    fn part(&self, _: &Cx<'_>) -> Part {
        Part { defines: vec![("KEPT_STEPS", self.steps().to_string())], ..Part::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_distance_of_logarithms() {
        let steps = |alpha| Relative { alpha }.steps();
        assert_eq!([1.0, 0.5, 0.25, 1e-6].map(steps), [0, 4096, 8192, 81_640]);
        assert_eq!(steps(0.1), 13_607, "4096 · 3.32193");
    }
}
