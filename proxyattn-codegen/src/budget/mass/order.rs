//! The order in which a head's blocks are counted on the last row, and kernels that go through it.

use super::unit;
use crate::Arch;
use crate::abi::build::{lay_out, number, numbers, read, write};
use crate::abi::{Expr, Field, Kernel, KernelId, Scalar, Scratch, UnitId};
use crate::pipeline::{Cx, Part, Words};
use crate::select;

named! {
    /// In which order the blocks of the last row are counted.
    pub enum Order {
        /// In the order in which they fill the list: what is kept holds the share that was asked for.
        List = "list",
        /// The head's own, by mass: the paper's rule.
        Own = "own",
    }
}

const SORT: &str = "budget/mass/order.cuh";
const LIST: &str = "budget/mass/list.cuh";

const ORDER_THREADS: u32 = 512;

/// A kernel that goes through the masses of a head in an order, and what it needs.
pub(in crate::budget) fn part(
    cx: &Cx<'_>,
    id: KernelId,
    order: Order,
    writes: Field,
    file: &'static str,
) -> Part {
    let kernel = kernel(cx, id, order, writes, file);
    listed(cx, kernel, order)
}

/// A kernel that orders blocks, and what it needs.
fn listed(cx: &Cx<'_>, kernel: Kernel, order: Order) -> Part {
    let (heading, holds) = match order {
        Order::List => (
            "Shared memory in which blocks are ordered, in words: of each warp, of samples, of each block; behind it a\n\
             // half word of each block.",
            "order:     a word for each warp, the samples' levels, and for each block its rank and, in half a word, its index",
        ),
        Order::Own => (
            "Shared memory in which masses are ordered, in words: of each warp, of each block.",
            "order:     a word for each warp, and the mass of each block",
        ),
    };
    Part {
        memory: vec![(kernel.unit, holds.into())],
        kernels: vec![kernel],
        sections: vec![("LIST_ORDER", order == Order::List)],
        shared: vec![("ORDER_THREADS", ORDER_THREADS.to_string())],
        tables: vec![(heading, words(cx, order).defines())],
        ..Part::default()
    }
}

/// The kernel that writes some blocks of each group's list to [`Scratch::Sampled`], in the order of the list. `files` are its
/// own.
pub(in crate::budget) fn sampling(cx: &Cx<'_>, files: &[&'static str]) -> Part {
    let mut fields: Vec<_> = select::ranked_by().map(read).into();
    fields.push(write(Scratch::Sampled));
    fields.extend(select::ranked_over(cx).into_iter().chain(numbers([Scalar::SampledBlocks])));
    let kernel = Kernel {
        id: KernelId::BudgetOrder,
        params: lay_out(fields),
        grid: [Scalar::Groups.into(), Scalar::Batch.into(), number(1)],
        // There are few CTAs: left to itself, the compiler spills a few bytes to fit more.
        bounds: "ORDER_THREADS, 1",
        files: [select::RANKS, &[SORT, LIST], files].concat(),
        ..kernel(cx, KernelId::BudgetOrder, Order::List, write(Scratch::Sampled), LIST)
    };
    listed(cx, kernel, Order::List)
}

/// Shared memory. The keys by which blocks are ordered are one for each, and so are the blocks, in half words.
fn words(cx: &Cx<'_>, order: Order) -> Words {
    let sums = ("ORDER_SUMS", ORDER_THREADS / 32);
    match order {
        Order::List => {
            let (levels, lse) = select::sample_words(cx);
            Words::new(&[sums, ("ORDER_LEVELS", levels), ("ORDER_LSE", lse), ("ORDER_KEYS", 0)])
        }
        Order::Own => Words::new(&[sums, ("ORDER_KEYS", 0)]),
    }
}

/// A CTA to each head. In the order of the list it follows `score`, and is in the unit of `select`, which ranks blocks by the
/// same text. Half words hold the indices of more blocks than shared memory has room for.
fn kernel(cx: &Cx<'_>, id: KernelId, order: Order, writes: Field, file: &'static str) -> Kernel {
    let mut fields = vec![read(Scratch::Masses)];
    let (unit, files, grid, per_block): (_, _, _, u32) = match order {
        Order::List => {
            fields.extend(select::ranked_by().map(read));
            fields.push(writes);
            fields.extend(select::ranked_over(cx));
            let files = [select::RANKS, &[SORT, LIST, file]].concat();
            let grid = [Scalar::HeadsPerGroup.into(), Scalar::Groups.into(), Scalar::Batch.into()];
            (UnitId::Scoring, files, grid, 6)
        }
        Order::Own => {
            fields.push(writes);
            fields.extend(numbers([Scalar::Blocks, Scalar::Heads]));
            (unit(cx), vec![SORT, file], [Scalar::Heads.into(), Scalar::Batch.into(), number(1)], 4)
        }
    };
    Kernel {
        id,
        unit,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: ORDER_THREADS,
        shared: number(words(cx, order).bytes()) + number(per_block) * Expr::from(Scalar::Blocks),
        grid,
        pack: 1,
        bounds: "ORDER_THREADS",
        files,
    }
}
