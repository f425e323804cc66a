//! The budget `top_p`: the fewest blocks of each row that hold a share of what its blocks weigh.

use super::{Contract, Measured, RowView, rules};
use crate::abi::build::{lay_out, number, read, write};
use crate::abi::{Expr, Kernel, KernelId, Scalar, Scratch, UnitId};
use crate::pipeline::{Cx, Part, Words};
use crate::{Arch, Key, Share, select, syntax};

/// `top_p(0.95)`: the fewest blocks of each row that hold a share of the row's weight (`XAttention`, arXiv 2503.16428,
/// `find_blocks_chunked`).
///
/// With the scorer's log-scores x of a row's blocks, block j weighs `exp(x(j))`, and its share is that of the sum over the
/// blocks that the row sees; the scorer's struct says what a weight is, and constants that its scores have in common cancel.
/// Blocks are counted in the order in which the list is filled: first those that are always kept, which weigh what their
/// scores say, then by score. The count is the smallest c at which the first c blocks hold `share`, so the block with which
/// the share is reached is visited. All heads of a group have the same count; each row has its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopP {
    /// [Share] of the row's weight, in (0, 1], to the nearest millionth.
    pub share: f64,
}

impl TopP {
    /// The share of the documentation's example, for which the attribute has no default.
    pub const DEFAULT: TopP = TopP { share: 0.95 };
}

kind! {
    Key::Budget, TopP, "top_p", like "top_p(0.95)";
    parts {
        share: syntax::Part::like("0.95").needed("the share of a row's weight").unnamed(),
    }
    rules |top_p, spec| {
        share: Share::is_valid(top_p.share), else rules::not_a_share(
            "`top_p` is a share of a row's weight", top_p.share, |share| format!("top_p({share})")
        ),
    }
}

/// The counts, and how `select` reads them.
const COUNTS: &[&str] = &["budget/top_p/counts.cuh"];

const THREADS: u32 = 128;
/// Values of a digit of a rank, as `select` has them.
const DIGITS: u32 = 256;

impl Contract for TopP {
    fn wanted(&self, _: RowView, measured: u64) -> u64 {
        measured
    }

    fn measures(&self) -> Option<Measured> {
        Some(Measured::Rows)
    }

    /// It depends on the inputs alone, and on real ones it is not measured yet: what the paper's rule is taken to keep.
    fn expected_share(&self, floor: f64) -> f64 {
        floor.max(0.2)
    }

    fn meaning(&self) -> String {
        format!("the fewest blocks of every row that hold {} of its weight", self.share)
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        COUNTS
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let memory =
            "counts:    a word for each digit, a word a warp, the samples' levels, and a rank for each block";
        Part {
            kernels: vec![counts(cx)],
            buffers: vec![Measured::Rows.buffer("blocks of a row that hold the share of its weight")],
            defines: vec![("SHARE_MILLIONTHS", Share::of(self.share).millionths().to_string())],
            shared: vec![
                ("SHARE_THREADS", THREADS.to_string()),
                ("SHARE_WORDS_CLEARED", (DIGITS + 3).to_string()),
            ],
            tables: vec![("Shared memory of budget_counts, in words.", words(cx).defines())],
            memory: vec![(UnitId::Scoring, memory.into())],
            ..Part::default()
        }
    }
}

/// Shared memory. Behind the beginning of the ranks lies one for each block.
fn words(cx: &Cx<'_>) -> Words {
    let (levels, lse) = select::sample_words(cx);
    Words::new(&[
        ("SHARE_LEVELS", levels),
        ("SHARE_LSE", lse),
        ("SHARE_MASSES", DIGITS),
        ("SHARE_TOTALS", 3),
        ("SHARE_FOUND", 2),
        ("SHARE_OF_WARPS", THREADS / 32),
        ("SHARE_RANKS", 0),
    ])
}

/// A CTA to each row of a group, after `score`.
fn counts(cx: &Cx<'_>) -> Kernel {
    let mut fields: Vec<_> = select::ranked_by().map(read).into();
    fields.push(write(Scratch::Measured));
    fields.extend(select::ranked_over(cx));
    Kernel {
        id: KernelId::BudgetCounts,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: THREADS,
        shared: number(words(cx).bytes()) + number(4) * Expr::from(Scalar::Blocks),
        grid: [Scalar::Rows.into(), Scalar::Groups.into(), Scalar::Batch.into()],
        pack: 1,
        bounds: "SHARE_THREADS",
        files: [select::RANKS, &["select/ranking.cuh"], COUNTS].concat(),
    }
}
