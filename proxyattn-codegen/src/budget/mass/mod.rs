//! The mass of blocks: what their keys weigh to each head's last queries. Budgets that are measured share its kernels.
//!
//! ```text
//! budget_norms ─▶ budget_partials ─▶ budget_masses          beside score
//! ```

pub(super) mod order;
pub(super) mod rows;
pub(super) mod sampled;

pub use order::Order;
pub use rows::Rows;

use crate::abi::build::{lay_out, number, numbers, read, strides, write};
use crate::abi::{Buffer, Expr, Field, Kernel, KernelId, Macro, Scalar, Scratch, Size, Tensor, UnitId};
use crate::arch::HopperTiles;
use crate::arch::hopper::{self, WG_ROWS};
use crate::arch::portable::SCORING_THREADS;
use crate::pipeline::{Cx, Part, Words};
use crate::{Arch, Spec};

named! {
    /// What a key's probability counts for in the mass of its block.
    pub enum Weigh {
        /// Times the norm ‖v‖₂ of its value, so that a sink with values near zero weighs little.
        Values = "values",
        /// Itself: the paper's rule.
        None = "none",
    }
}

const NORMS: &[&str] = &["budget/mass/norms.cuh"];
/// Templates of `budget_partials`: before its sums, its sums without weights, and what stands behind them.
const PARTIALS: [&[&str]; 3] = [
    &["arch/portable/tile.cuh", "geometry/sequence.cuh", "arch/portable/scoring.cuh"],
    &["arch/portable/running.cuh"],
    &["budget/mass/partials.cuh"],
];
const PARTIALS_HOPPER: [&[&str]; 3] = [
    &[
        "arch/hopper/cta.cuh",
        "geometry/sequence.cuh",
        "arch/hopper/operands.cuh",
        "arch/hopper/scoring.cuh",
        "arch/hopper/headroom.cuh",
    ],
    &["arch/hopper/sums.cuh"],
    &["budget/mass/partials.hopper.cuh"],
];
const MASSES: &[&str] = &["budget/mass/masses.cuh"];

const NORM_THREADS: u32 = 128;
/// Lanes that share a token.
const NORM_LANES: u32 = 4;
const MASS_THREADS: u32 = 512;

/// A head's queries fill warpgroups of a CTA, and a stage holds whole blocks.
pub(super) fn on_hopper(spec: &Spec, tiles: &HopperTiles) -> bool {
    spec.head_dim <= 128
        && spec.block.q.is_multiple_of(WG_ROWS)
        && tiles.score_rows().is_multiple_of(spec.block.q)
        && tiles.keys.is_multiple_of(spec.block.kv)
}

/// The unit of the budget's own kernels.
fn unit(cx: &Cx<'_>) -> UnitId {
    match cx.native.budget {
        Arch::Sm80 => UnitId::Scoring,
        Arch::Sm90a => UnitId::Budget,
    }
}

/// From queries, keys and values to the masses of blocks.
pub(super) fn part(cx: &Cx<'_>, weigh: Weigh) -> Part {
    let mut kernels = Vec::new();
    match weigh {
        Weigh::Values => kernels.push(norms(cx)),
        Weigh::None => {}
    }
    let mut memory = Vec::new();
    match cx.native.budget {
        Arch::Sm80 => kernels.push(partials(cx, weigh)),
        Arch::Sm90a => {
            kernels.push(partials_hopper(cx, weigh));
            memory.push((UnitId::Budget, hopper::scoring_memory(cx, "barriers", 2)));
        }
    }
    kernels.push(masses(cx, weigh));
    memory.push((unit(cx), "masses:    words for each warp and query".into()));
    Part {
        kernels,
        buffers: buffers(cx, weigh),
        sections: vec![("VALUES", weigh == Weigh::Values), ("SAMPLED", false)],
        shared: vec![("NORM_THREADS", NORM_THREADS.to_string()), ("MASS_THREADS", MASS_THREADS.to_string())],
        tables: vec![(
            "Shared memory of budget_masses, in words: of each warp and query.",
            mass_words(cx.spec, weigh).defines(),
        )],
        memory,
        ..Part::default()
    }
}

/// Shared memory of `budget_masses`.
fn mass_words(spec: &Spec, weigh: Weigh) -> Words {
    let each = MASS_THREADS / 32 * spec.block.q;
    let weighted = match weigh {
        Weigh::Values => each,
        Weigh::None => 0,
    };
    Words::new(&[("MASS_MAXIMA", each), ("MASS_SUMS", each), ("MASS_WEIGHTED", weighted)])
}

fn buffers(cx: &Cx<'_>, weigh: Weigh) -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Heads, KvHeads, KvLen};
    let s = Size::Scalar;
    let buffer = |scratch, dims, holds| Buffer { scratch, dims, holds };
    let plain = partial_buffers(cx, s(Blocks));
    let masses =
        buffer(Scratch::Masses, vec![s(Batch), s(Heads), s(Blocks)], "share of a head's mass, in 2^-31");
    match weigh {
        Weigh::Values => {
            let norms = buffer(Scratch::Norms, vec![s(Batch), s(KvHeads), s(KvLen)], "norm of a value");
            let weighted = "the same, each key's part times its norm";
            let weighted = buffer(Scratch::PartialWeighted, plain[0].dims.clone(), weighted);
            [norms].into_iter().chain(plain).chain([weighted, masses]).collect()
        }
        Weigh::None => plain.into_iter().chain([masses]).collect(),
    }
}

/// What `budget_partials` leaves of so many blocks.
fn partial_buffers(cx: &Cx<'_>, blocks: Size) -> [Buffer; 2] {
    let dims = vec![Size::Scalar(Scalar::Batch), Size::Scalar(Scalar::Heads), blocks, cx.size(Macro::BlockQ)];
    let max = "a score near the largest of a (last query, block), base 2";
    let buffer = |scratch, holds| Buffer { scratch, dims: dims.clone(), holds };
    [buffer(Scratch::PartialMax, max), buffer(Scratch::PartialSum, "sum under that score")]
}

fn norms(cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![read(Tensor::V), write(Scratch::Norms)];
    fields.extend(strides(Tensor::V));
    fields.extend(numbers([Scalar::KvLen, Scalar::KvHeads]));
    Kernel {
        id: KernelId::BudgetNorms,
        unit: unit(cx),
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: NORM_THREADS,
        shared: number(0),
        grid: [
            Expr::from(Scalar::KvLen).ceil_div(NORM_THREADS / NORM_LANES),
            Scalar::KvHeads.into(),
            Scalar::Batch.into(),
        ],
        pack: 1,
        bounds: "NORM_THREADS",
        files: NORMS.into(),
    }
}

/// The templates of a pass: one with weights has sums of its own.
fn weighed([before, plain, own]: [&[&'static str]; 3], weigh: Weigh) -> Vec<&'static str> {
    match weigh {
        Weigh::Values => [before, own].concat(),
        Weigh::None => [before, plain, own].concat(),
    }
}

/// What the values' weights add to the fields of `budget_partials`.
fn weighted_fields(weigh: Weigh) -> Vec<Field> {
    match weigh {
        Weigh::Values => vec![read(Scratch::Norms), write(Scratch::PartialWeighted)],
        Weigh::None => vec![],
    }
}

fn partials(cx: &Cx<'_>, weigh: Weigh) -> Kernel {
    let mut fields =
        vec![read(Tensor::Q), read(Tensor::K), write(Scratch::PartialMax), write(Scratch::PartialSum)];
    fields.extend(weighted_fields(weigh));
    fields.extend(strides(Tensor::Q).chain(strides(Tensor::K)));
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::Blocks,
        Scalar::Heads,
        Scalar::HeadsPerKv,
        Scalar::BlocksPerCta,
    ]));
    if weigh == Weigh::Values {
        fields.extend(numbers([Scalar::KvHeads]));
    }
    portable_partials(cx, weigh, Scalar::Blocks, fields)
}

/// The portable pass of the last queries over so many blocks, with these parameters.
fn portable_partials(cx: &Cx<'_>, weigh: Weigh, blocks: Scalar, fields: Vec<Field>) -> Kernel {
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
            packs * Expr::from(blocks).ceil_div(Scalar::BlocksPerCta),
            Scalar::KvHeads.into(),
            Scalar::Batch.into(),
        ],
        pack: 1,
        // Two CTAs to an SM: for a third, the compiler would spill.
        bounds: "SCORING_THREADS, 2",
        files: weighed(PARTIALS, weigh),
    }
}

fn partials_hopper(cx: &Cx<'_>, weigh: Weigh) -> Kernel {
    let hopper = &cx.tiles.hopper;
    let mut fields = vec![
        Field::Map(Tensor::Q, WG_ROWS),
        Field::Map(Tensor::K, hopper.keys),
        write(Scratch::PartialMax),
        write(Scratch::PartialSum),
    ];
    fields.extend(weighted_fields(weigh));
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
        files: weighed(PARTIALS_HOPPER, weigh),
    }
}

fn masses(cx: &Cx<'_>, weigh: Weigh) -> Kernel {
    let mut fields = vec![read(Scratch::PartialMax), read(Scratch::PartialSum), write(Scratch::Masses)];
    match weigh {
        Weigh::Values => fields.insert(2, read(Scratch::PartialWeighted)),
        Weigh::None => {}
    }
    fields.extend(numbers([Scalar::QLen, Scalar::Blocks, Scalar::Heads]));
    Kernel {
        id: KernelId::BudgetMasses,
        unit: unit(cx),
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: MASS_THREADS,
        shared: number(mass_words(cx.spec, weigh).bytes()),
        grid: [Scalar::Heads.into(), Scalar::Batch.into(), number(1)],
        pack: 1,
        // One CTA is enough: left to itself, the compiler spills a few bytes to fit one more.
        bounds: "MASS_THREADS, 1",
        files: MASSES.into(),
    }
}
