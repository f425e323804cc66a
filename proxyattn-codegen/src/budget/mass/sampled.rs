//! The last queries of each head over some blocks alone, which their group has in common.

use super::{PARTIALS, Weigh, partial_buffers, weighed};
use crate::Arch;
use crate::abi::build::{lay_out, number, numbers, read, strides, write};
use crate::abi::{Expr, Kernel, KernelId, Macro, Scalar, Scratch, Size, Tensor, UnitId};
use crate::arch::portable::SCORING_THREADS;
use crate::pipeline::{Cx, Part};

/// From queries, keys and the blocks of [`Scratch::Sampled`] to their partials. So few keys ask for no kernel of Hopper's.
pub(in crate::budget) fn part(cx: &Cx<'_>) -> Part {
    Part {
        kernels: vec![partials(cx)],
        buffers: partial_buffers(cx, Size::Scalar(Scalar::SampledBlocks)).into(),
        sections: vec![("VALUES", false), ("SAMPLED", true)],
        ..Part::default()
    }
}

fn partials(cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![
        read(Tensor::Q),
        read(Tensor::K),
        read(Scratch::Sampled),
        write(Scratch::PartialMax),
        write(Scratch::PartialSum),
    ];
    fields.extend(strides(Tensor::Q).chain(strides(Tensor::K)));
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::SampledBlocks,
        Scalar::Heads,
        Scalar::Groups,
        Scalar::HeadsPerKv,
        Scalar::KvHeadsPerGroup,
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
            packs * Expr::from(Scalar::SampledBlocks).ceil_div(Scalar::BlocksPerCta),
            Scalar::KvHeads.into(),
            Scalar::Batch.into(),
        ],
        pack: 1,
        bounds: "SCORING_THREADS, 2",
        files: weighed(PARTIALS, Weigh::None),
    }
}
