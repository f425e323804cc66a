//! Attention with TMA and `wgmma`: a CTA to each multiprocessor, which takes tile after tile.

use crate::Arch;
use crate::abi::build::{count, lay_out, number, numbers};
use crate::abi::{Expr, Field, Kernel, KernelId, Macro, Scalar, Scratch, Tensor, UnitId};
use crate::arch::hopper::{BARRIER_BYTES, SEEN_BITS, STAGES_TO_A_KEY_STAGE, WG_ROWS};
use crate::pipeline::Cx;

/// What both kernels stand on.
const COMMON: &[&str] = &[
    "arch/hopper/cta.cuh",
    "geometry/sequence.cuh",
    "attend/hopper/order.cuh",
    "attend/hopper/ring.cuh",
    "attend/hopper/flash.cuh",
    "attend/hopper/stream.cuh",
];
const ATTEND: &[&str] = &["attend/hopper/schedule.cuh", "attend/hopper/attend.cuh"];
const DENSE: &[&str] = &["attend/hopper/dense.cuh"];

pub(super) fn attend(cx: &Cx<'_>) -> Kernel {
    let mut fields = super::lists(cx);
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::Rows,
        Scalar::Blocks,
        Scalar::Batch,
        Scalar::Heads,
        Scalar::KvHeads,
        Scalar::HeadsPerKv,
        Scalar::Groups,
        Scalar::KvHeadsPerGroup,
    ]));
    let packs = Expr::from(Scalar::HeadsPerKv).ceil_div(cx.constant(Macro::PackHeads));
    let tiles = Expr::from(Scalar::Rows) * packs * Scalar::KvHeads * Scalar::Batch;
    Kernel {
        id: KernelId::Attend,
        unit: UnitId::Attend,
        pack: cx.tiles.hopper.heads(cx.spec),
        files: [COMMON, super::diagonal(cx), ATTEND].concat(),
        ..kernel(cx, cx.tiles.hopper.piece_keys(cx.spec), fields, tiles)
    }
}

pub(super) fn dense(cx: &Cx<'_>) -> Kernel {
    let fields = numbers([Scalar::QLen, Scalar::KvLen, Scalar::Batch, Scalar::Heads, Scalar::HeadsPerKv]);
    let rows = cx.constant(Macro::WgRows) * cx.constant(Macro::Warpgroups);
    let tiles = Expr::from(Scalar::QLen).ceil_div(rows) * Scalar::Heads * Scalar::Batch;
    kernel(cx, cx.tiles.hopper.keys, fields.collect(), tiles)
}

/// `dense` but for its fields and grid; a copy brings `keys` tokens of K or V.
fn kernel(cx: &Cx<'_>, keys: u32, more: Vec<Field>, tiles: Expr) -> Kernel {
    let mut fields = vec![
        Field::Map(Tensor::Q, WG_ROWS),
        Field::Map(Tensor::K, keys),
        Field::Map(Tensor::V, keys),
        Field::Map(Tensor::Out, WG_ROWS),
        count(Scratch::AttendTickets),
    ];
    fields.extend(more);
    Kernel {
        id: KernelId::Dense,
        unit: UnitId::Dense,
        arch: Arch::Sm90a,
        params: lay_out(fields),
        threads: cx.tiles.hopper.threads(),
        shared: number(cx.tiles.hopper.shared_bytes(cx.spec)),
        grid: [Expr::Multiprocessors.min(tiles), number(1), number(1)],
        pack: 1,
        bounds: "CTA_THREADS, 1",
        files: [COMMON, DENSE].concat(),
    }
}

/// Numbers of the rings of stages.
pub(super) fn constants() -> Vec<(&'static str, String)> {
    vec![("KEY_STAGES", format!("(STAGES / {STAGES_TO_A_KEY_STAGE})")), ("SEEN_BITS", SEEN_BITS.text())]
}

/// What lies in shared memory.
pub(super) fn memory(cx: &Cx<'_>) -> Vec<String> {
    let (row, tiles) = (cx.spec.head_dim * 2, &cx.tiles.hopper);
    vec![
        format!(
            "{BARRIER_BYTES} B of barriers, full and empty of each stage and slot, and descriptions of work;"
        ),
        format!(
            "{} × {} slots of {} B of queries (later the output); of {} B each {} stages of keys, {} of values",
            tiles.warpgroups,
            tiles.query_slots,
            WG_ROWS * row,
            tiles.keys * row,
            tiles.key_stages(),
            tiles.stages - tiles.key_stages(),
        ),
    ]
}
