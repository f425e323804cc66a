//! Lists: what each count keeps of a group's ranking.

use super::{Cx, number, numbers, read, write};
use crate::Arch;
use crate::abi::{Access, Field, Kernel, KernelId, Scalar, Scratch, UnitId, lay_out};
use crate::cuda::constants::{SELECT_THREADS, select_words};

pub(super) fn select(cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![read(Scratch::Maxima), read(Scratch::Floors), read(Scratch::Lse)];
    fields.extend(cx.spec.budget.is_measured().then(|| read(Scratch::Measured)));
    fields.extend([write(Scratch::Lists), write(Scratch::Counts)]);
    fields.extend(cx.spec.budget.differs_within_group().then(|| write(Scratch::Runs)));
    match cx.native.attend {
        Arch::Sm80 => {}
        Arch::Sm90a => fields.push(Field::Pointer(Scratch::AttendTickets.into(), Access::Clear)),
    }
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::Rows,
        Scalar::Blocks,
        Scalar::Groups,
        Scalar::HeadsPerGroup,
    ]));
    if cx.native.segments() {
        fields.extend(numbers([Scalar::Segments, Scalar::SegmentKeys]));
    }
    Kernel {
        id: KernelId::Select,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: SELECT_THREADS,
        shared: number(select_words(cx).bytes()) + number(4) * Scalar::Blocks,
        grid: [Scalar::Rows.into(), Scalar::Groups.into(), Scalar::Batch.into()],
        pack: 1,
        // As many CTAs as hide how they wait: left to itself, the compiler takes a few registers more.
        bounds: "SELECT_THREADS, 10",
    }
}
