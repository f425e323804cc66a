//! From scores to counts.
//!
//! ```text
//! score ─▶ budget_order ─▶ budget_partials ─▶ budget_counts
//! ```

use super::places::most_pinned;
use crate::Arch;
use crate::abi::build::{lay_out, number, numbers, read, write};
use crate::abi::{Buffer, Expr, Kernel, KernelId, Scalar, Scratch, Size, UnitId};
use crate::budget::mass::{order, sampled};
use crate::pipeline::{Cx, Part, Words};

const PLACES: &str = "budget/fitted/places.cuh";
const ORDER: &str = "budget/fitted/order.cuh";
const COUNTS: &str = "budget/fitted/counts.cuh";

/// A thread to each query of a block, at most.
const FIT_THREADS: u32 = 128;

pub(super) fn part(cx: &Cx<'_>) -> Part {
    let dims = [Scalar::Batch, Scalar::Groups, Scalar::SampledBlocks].map(Size::Scalar).into();
    let order = order::sampling(cx, &[PLACES, ORDER]);
    let own = Part {
        kernels: vec![counts(cx)],
        defines: vec![("MOST_PINNED", most_pinned(cx.spec).to_string())],
        shared: vec![("FIT_THREADS", FIT_THREADS.to_string())],
        tables: vec![("Shared memory of budget_counts, in words.", words(cx).defines())],
        memory: vec![(
            UnitId::Scoring,
            "counts:    two words for each query and for each warp, and the mass of each block that is measured".into(),
        )],
        ..Part::default()
    };
    let buffers =
        vec![Buffer { scratch: Scratch::Sampled, dims, holds: "measured blocks of the last row's list" }];
    Part { buffers, ..order }.and(sampled::part(cx)).and(own)
}

/// Shared memory. Behind the beginning of the masses lies one for each measured block.
fn words(cx: &Cx<'_>) -> Words {
    let queries = cx.spec.block.q;
    Words::new(&[
        ("FIT_TOPS", queries),
        ("FIT_SHARES", queries),
        ("FIT_CURVES", 2 * FIT_THREADS / 32),
        ("FIT_MASSES", 0),
    ])
}

/// A CTA to each head.
fn counts(cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![read(Scratch::PartialMax), read(Scratch::PartialSum), write(Scratch::Measured)];
    fields.extend(numbers([Scalar::QLen, Scalar::Blocks, Scalar::SampledBlocks, Scalar::Heads]));
    Kernel {
        id: KernelId::BudgetCounts,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: FIT_THREADS,
        shared: number(words(cx).bytes()) + number(4) * Expr::from(Scalar::SampledBlocks),
        grid: [Scalar::Heads.into(), Scalar::Batch.into(), number(1)],
        pack: 1,
        bounds: "FIT_THREADS",
        files: vec!["arch/portable/tile.cuh", PLACES, COUNTS],
    }
}
