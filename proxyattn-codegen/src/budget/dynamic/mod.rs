//! The budget `dynamic`: the last queries of each head over all keys, and how many blocks hold their mass.

mod syntax;

use super::{Contract, RowView};
use crate::abi::build::{lay_out, number, numbers, read, strides, write};
use crate::abi::{Buffer, Expr, Field, Kernel, KernelId, Macro, Scalar, Scratch, Size, Tensor, UnitId};
use crate::arch::HopperTiles;
use crate::arch::hopper::{self, WG_ROWS};
use crate::arch::portable::SCORING_THREADS;
use crate::pipeline::{Cx, Part, Words};
use crate::{Arch, Block, Share, Spec};

named! {
    /// How a dynamic budget, measured on the last row of blocks, applies to the other rows.
    pub enum Rows {
        /// The same share of each row's visible blocks, rounded up.
        Ratio = "ratio",
        /// The same count for every row: the paper's literal reading.
        Absolute = "absolute",
    }
}

named! {
    /// In which order the blocks of the last row are counted.
    pub enum Order {
        /// In the order in which they fill the list: what is kept holds the share that was asked for.
        List = "list",
        /// The head's own, by mass: the paper's rule.
        Own = "own",
    }
}

named! {
    /// What a key's probability counts for in the mass of its block.
    pub enum Weigh {
        /// Times the norm ‖v‖₂ of its value, so that a sink with values near zero weighs little.
        Values = "values",
        /// Itself: the paper's rule.
        None = "none",
    }
}

const PARTIALS: &[&str] = &[
    "arch/portable/tile.cuh",
    "geometry/sequence.cuh",
    "arch/portable/scoring.cuh",
    "budget/dynamic/partials.cuh",
];
const PARTIALS_HOPPER: &[&str] = &[
    "arch/hopper/cta.cuh",
    "geometry/sequence.cuh",
    "arch/hopper/scoring.cuh",
    "budget/dynamic/partials.hopper.cuh",
];
const COUNTS: &[&str] = &["budget/dynamic/counts.cuh"];

const COUNT_THREADS: u32 = 512;

/// What a dynamic budget is taken to keep, since that is known only when it has run: the defaults keep a fifth of the
/// blocks of real contexts.
pub(super) const EXPECTED_SHARE: f64 = 0.2;

/// The fewest blocks that hold `gamma` of the softmax mass of the head's own last queries, and at least `min_tokens` worth of
/// blocks (ProxyAttn, Algorithm 1).
///
/// With probabilities p of the last `min(block.q, q_len)` queries t of head h over its keys s, block j has the mass
/// `e(j) = Σ_t Σ_{s ∈ j} p(t, s) · w(s)`, as a share of the sum over all blocks; `w` is 1, or ‖v(s)‖₂ by [`Weigh`]. The
/// count is the smallest c at which the first c blocks in the [`Order`] hold `gamma`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dynamic {
    /// [Share] of the mass, in (0, 1], to the nearest millionth.
    pub gamma: f64,
    /// Tokens below which no row's budget falls.
    pub min_tokens: u32,
    /// How the count of the last row carries over to the others.
    pub rows: Rows,
    /// In which order blocks are counted.
    pub order: Order,
    /// What a key's probability counts for.
    pub weigh: Weigh,
}

impl Dynamic {
    /// `budget = dynamic` without any part.
    pub const DEFAULT: Dynamic =
        Dynamic { gamma: 0.9, min_tokens: 512, rows: Rows::Ratio, order: Order::Own, weigh: Weigh::None };

    /// The paper's rule: γ = 0.95, at least 2048 tokens, absolute rows, the head's own order, and no weights.
    pub const PAPER: Dynamic = Dynamic {
        gamma: 0.95,
        min_tokens: 2048,
        rows: Rows::Absolute,
        order: Order::Own,
        weigh: Weigh::None,
    };
}

impl Contract for Dynamic {
    fn wanted(&self, row: RowView, measured: u64) -> u64 {
        let scaled = match self.rows {
            Rows::Absolute => measured,
            Rows::Ratio => (measured * row.visible).div_ceil(row.last_visible),
        };
        scaled.max(self.min_tokens.div_ceil(row.block_kv).into())
    }

    fn is_measured(&self) -> bool {
        true
    }

    fn differs_within_group(&self) -> bool {
        true
    }

    fn floor_tokens(&self, _: Block) -> u64 {
        self.min_tokens.into()
    }

    fn expected_share(&self, floor: f64) -> f64 {
        floor.max(EXPECTED_SHARE)
    }

    fn measured_share(&self, share: f64, causal: bool) -> Option<f64> {
        match self.rows {
            Rows::Ratio => Some(share),
            // A constant count is a larger share of the shorter rows: for small shares, twice as large on average.
            Rows::Absolute => Some(if causal { share / 2.0 } else { share }),
        }
    }

    fn meaning(&self) -> String {
        let Self { gamma, min_tokens, rows, order: _, weigh: _ } = self;
        let rows = match rows {
            Rows::Absolute => "the same count in every row",
            Rows::Ratio => "the same share of every row",
        };
        format!("blocks that hold {gamma} of the last row's mass, at least {min_tokens} tokens; {rows}")
    }

    /// A head's queries fill warpgroups of a CTA, and a stage holds whole blocks.
    fn on_hopper(&self, spec: &Spec, tiles: &HopperTiles) -> bool {
        spec.head_dim <= 128
            && spec.block.q.is_multiple_of(WG_ROWS)
            && tiles.score_rows().is_multiple_of(spec.block.q)
            && tiles.keys.is_multiple_of(spec.block.kv)
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        &["budget/dynamic/wanted.cuh"]
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let (kernels, memory) = match cx.native.budget {
            Arch::Sm80 => (vec![partials(cx), counts(cx, UnitId::Scoring)], vec![]),
            Arch::Sm90a => (
                vec![partials_hopper(cx), counts(cx, UnitId::Budget)],
                vec![(UnitId::Budget, hopper::scoring_memory(cx, "barriers"))],
            ),
        };
        Part {
            kernels,
            buffers: buffers(cx),
            sections: vec![("ROWS_RATIO", self.rows == Rows::Ratio)],
            defines: vec![
                ("GAMMA_MILLIONTHS", Share::of(self.gamma).millionths().to_string()),
                ("MIN_BLOCKS", self.min_tokens.div_ceil(cx.spec.block.kv).to_string()),
            ],
            shared: vec![("COUNT_THREADS", COUNT_THREADS.to_string())],
            tables: vec![(
                "Shared memory of budget_counts, in words: of each warp and query, of each warp, of each block.",
                count_words(cx.spec).defines(),
            )],
            memory,
        }
    }
}

/// Shared memory of `budget_counts`. The masses are one for each block.
fn count_words(spec: &Spec) -> Words {
    let warps = COUNT_THREADS / 32;
    Words::new(&[
        ("COUNT_MAXIMA", warps * spec.block.q),
        ("COUNT_SUMS", warps * spec.block.q),
        ("COUNT_VOTES", warps),
        ("COUNT_MASSES", 0),
    ])
}

fn buffers(cx: &Cx<'_>) -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Heads};
    let s = Size::Scalar;
    let buffer = |scratch, dims, holds| Buffer { scratch, dims, holds };
    let partial = vec![s(Batch), s(Heads), s(Blocks), cx.size(Macro::BlockQ)];
    vec![
        buffer(
            Scratch::PartialMax,
            partial.clone(),
            "a score near the largest of a (last query, block), base 2",
        ),
        buffer(Scratch::PartialSum, partial, "sum under that score"),
        buffer(Scratch::Measured, vec![s(Batch), s(Heads)], "blocks that hold gamma of the mass"),
    ]
}

fn partials(cx: &Cx<'_>) -> Kernel {
    let mut fields =
        vec![read(Tensor::Q), read(Tensor::K), write(Scratch::PartialMax), write(Scratch::PartialSum)];
    fields.extend(strides(Tensor::Q).chain(strides(Tensor::K)));
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::Blocks,
        Scalar::Heads,
        Scalar::HeadsPerKv,
        Scalar::BlocksPerCta,
    ]));
    let packs = (Expr::from(Scalar::HeadsPerKv) * cx.constant(Macro::BlockQ))
        .ceil_div(cx.constant(Macro::ScoringRows));
    Kernel {
        id: KernelId::BudgetPartials,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: SCORING_THREADS,
        shared: number(cx.tiles.ring_bytes(cx.spec)),
        grid: [
            packs * Expr::from(Scalar::Blocks).ceil_div(Scalar::BlocksPerCta),
            Scalar::KvHeads.into(),
            Scalar::Batch.into(),
        ],
        pack: 1,
        // Two CTAs to an SM: for a third, the compiler would spill.
        bounds: "SCORING_THREADS, 2",
        files: PARTIALS.into(),
    }
}

fn partials_hopper(cx: &Cx<'_>) -> Kernel {
    let hopper = &cx.tiles.hopper;
    let mut fields = vec![
        Field::Map(Tensor::Q, WG_ROWS),
        Field::Map(Tensor::K, hopper.keys),
        write(Scratch::PartialMax),
        write(Scratch::PartialSum),
    ];
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::Blocks,
        Scalar::Batch,
        Scalar::KvHeads,
        Scalar::HeadsPerKv,
    ]));
    // It takes stage after stage, for each pack of heads by itself.
    let rows = cx.constant(Macro::WgRows) * cx.constant(Macro::ScoreWarpgroups);
    let packs = (Expr::from(Scalar::HeadsPerKv) * cx.constant(Macro::BlockQ)).ceil_div(rows);
    let packs = Expr::Named("packs", Box::new(packs));
    let stages = Expr::from(Scalar::KvLen).ceil_div(cx.constant(Macro::StageKeys));
    Kernel {
        id: KernelId::BudgetPartials,
        unit: UnitId::Budget,
        arch: Arch::Sm90a,
        params: lay_out(fields),
        threads: hopper.score_threads(),
        shared: number(hopper.score_bytes(cx.spec)),
        grid: [
            (Expr::Multiprocessors / packs.clone()).min(stages * Scalar::KvHeads * Scalar::Batch),
            packs,
            number(1),
        ],
        pack: 1,
        bounds: "CTA_THREADS, 1",
        files: PARTIALS_HOPPER.into(),
    }
}

fn counts(cx: &Cx<'_>, unit: UnitId) -> Kernel {
    let mut fields = vec![read(Scratch::PartialMax), read(Scratch::PartialSum), write(Scratch::Measured)];
    fields.extend(numbers([Scalar::QLen, Scalar::Blocks, Scalar::Heads]));
    Kernel {
        id: KernelId::BudgetCounts,
        unit,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: COUNT_THREADS,
        shared: number(count_words(cx.spec).bytes()) + number(4) * Scalar::Blocks,
        grid: [Scalar::Heads.into(), Scalar::Batch.into(), number(1)],
        pack: 1,
        // One CTA is enough: left to itself, the compiler spills a few bytes to fit one more.
        bounds: "COUNT_THREADS, 1",
        files: COUNTS.into(),
    }
}
