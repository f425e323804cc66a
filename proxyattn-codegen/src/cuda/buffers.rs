//! The table of buffers between kernels.

use super::kernels::Cx;
use crate::Arch;
use crate::abi::{Buffer, Keys, Macro, Scalar, Scratch, Size};

/// The buffers of a configuration, in the order in which they are written.
pub(super) fn buffers(cx: &Cx<'_>) -> Vec<Buffer> {
    let sparse = !cx.spec.is_dense();
    let (measures, differs) = (cx.spec.budget.is_measured(), cx.spec.budget.differs_within_group());
    let pooled = sparse && matches!(cx.keys(), Keys::Pooled);
    let taken = |scratch| match scratch {
        Scratch::ProxyQ
        | Scratch::Maxima
        | Scratch::Floors
        | Scratch::Lse
        | Scratch::Lists
        | Scratch::Counts => sparse,
        Scratch::ProxyK => pooled,
        Scratch::ScoreTickets => cx.native.segments(),
        Scratch::PartialMax | Scratch::PartialSum | Scratch::Measured => measures,
        Scratch::Runs => differs,
        Scratch::AttendTickets => cx.native.attend == Arch::Sm90a || cx.native.dense == Arch::Sm90a,
    };
    let all = Scratch::ALL.iter().copied();
    all.filter(|&scratch| taken(scratch)).map(|scratch| buffer(scratch, cx)).collect()
}

fn buffer(scratch: Scratch, cx: &Cx<'_>) -> Buffer {
    use Scalar::{Batch, Blocks, Groups, Heads, KvSamples, QSamples, Rows, Segments};
    let [head_dim, block_q, samples_q] = [Macro::HeadDim, Macro::BlockQ, Macro::SamplesQ].map(|m| cx.size(m));
    let s = Size::Scalar;
    let (dims, holds) = match scratch {
        Scratch::ProxyQ => (vec![s(Batch), s(Groups), s(QSamples), head_dim], "mean query of a group"),
        Scratch::ProxyK => (vec![s(Batch), s(Groups), s(KvSamples), head_dim], "mean key of a group"),
        Scratch::Maxima => (
            vec![s(Batch), s(Groups), s(Rows), s(Blocks), samples_q],
            "largest score of a (sample, block): 64ths of log2 above the sample's floor",
        ),
        Scratch::Floors if cx.native.segments() => (
            vec![s(Batch), s(Groups), s(Rows), s(Segments), samples_q],
            "score of code 0 of a sample in a segment, base 2",
        ),
        Scratch::Floors => {
            (vec![s(Batch), s(Groups), s(Rows), samples_q], "score of code 0 of a sample, base 2")
        }
        Scratch::Lse if cx.native.segments() => (
            vec![s(Batch), s(Groups), s(Rows), s(Segments), samples_q],
            "log2 of the sum over a sample's keys of a segment",
        ),
        Scratch::Lse => {
            (vec![s(Batch), s(Groups), s(Rows), samples_q], "log2 of the sum over a sample's keys")
        }
        Scratch::ScoreTickets => (vec![], "units of score that are taken"),
        Scratch::PartialMax => (
            vec![s(Batch), s(Heads), s(Blocks), block_q],
            "a score near the largest of a (last query, block), base 2",
        ),
        Scratch::PartialSum => (vec![s(Batch), s(Heads), s(Blocks), block_q], "sum under that score"),
        Scratch::Measured => (vec![s(Batch), s(Heads)], "blocks that hold gamma of the mass"),
        Scratch::Lists => (vec![s(Batch), s(Groups), s(Rows), s(Blocks)], "blocks to visit"),
        Scratch::Counts => (vec![s(Batch), s(Heads), s(Rows)], "how much of the group's list a head visits"),
        Scratch::Runs => (
            vec![s(Batch), s(Groups), s(Rows)],
            "length of the list's first ascending run: the smallest count",
        ),
        Scratch::AttendTickets => (vec![], "tiles that are taken; zero at first"),
    };
    Buffer { scratch, dims, holds }
}
