//! Attention: over the lists, or over everything.

use super::{Cx, number, numbers, read, strides, write};
use crate::Arch;
use crate::abi::{Access, Expr, Field, Kernel, KernelId, Macro, Scalar, Scratch, Tensor, UnitId, lay_out};
use crate::cuda::constants::WG_ROWS;

pub(super) fn attend(cx: &Cx<'_>) -> Kernel {
    let mut lists = vec![read(Scratch::Lists), read(Scratch::Counts)];
    if cx.spec.causal && cx.spec.budget.differs_within_group() {
        lists.push(read(Scratch::Runs));
    }
    match cx.native.attend {
        Arch::Sm80 => {
            lists.extend(numbers([Scalar::Blocks, Scalar::Heads, Scalar::Groups, Scalar::KvHeadsPerGroup]));
            portable(cx, KernelId::Attend, UnitId::Attend, lists)
        }
        Arch::Sm90a => {
            lists.extend(numbers([
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
            let pack = cx.tiles.hopper.heads(cx.spec);
            let keys = cx.tiles.hopper.piece_keys(cx.spec);
            hopper(cx, KernelId::Attend, UnitId::Attend, keys, pack, lists, tiles)
        }
    }
}

pub(super) fn dense(cx: &Cx<'_>) -> Kernel {
    match cx.native.dense {
        Arch::Sm80 => portable(cx, KernelId::Dense, UnitId::Dense, Vec::new()),
        Arch::Sm90a => {
            let fields =
                numbers([Scalar::QLen, Scalar::KvLen, Scalar::Batch, Scalar::Heads, Scalar::HeadsPerKv]);
            let rows = cx.constant(Macro::WgRows) * cx.constant(Macro::Warpgroups);
            let tiles = Expr::from(Scalar::QLen).ceil_div(rows) * Scalar::Heads * Scalar::Batch;
            let keys = cx.tiles.hopper.keys;
            hopper(cx, KernelId::Dense, UnitId::Dense, keys, 1, fields.collect(), tiles)
        }
    }
}

/// A CTA to a tile of some heads; `more` are the fields of lists.
fn portable(cx: &Cx<'_>, id: KernelId, unit: UnitId, more: Vec<Field>) -> Kernel {
    let mut fields = vec![read(Tensor::Q), read(Tensor::K), read(Tensor::V), write(Tensor::Out)];
    fields.extend([Tensor::Q, Tensor::K, Tensor::V, Tensor::Out].into_iter().flat_map(strides));
    fields.extend(numbers([Scalar::QLen, Scalar::KvLen, Scalar::Rows, Scalar::HeadsPerKv]));
    fields.extend(more);
    let row_tiles = cx.constant(Macro::BlockQ) / cx.constant(Macro::TileRows);
    let packs = Expr::from(Scalar::HeadsPerKv).ceil_div(cx.constant(Macro::TileHeads));
    Kernel {
        id,
        unit,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: cx.tiles.threads(),
        shared: number(cx.tiles.attend_bytes(cx.spec)),
        grid: [Expr::from(Scalar::Rows) * row_tiles * packs, Scalar::KvHeads.into(), Scalar::Batch.into()],
        pack: cx.tiles.heads,
        bounds: "TILE_THREADS",
    }
}

/// A CTA to each multiprocessor, which takes tile after tile; a copy brings `keys` tokens of K or V.
fn hopper(
    cx: &Cx<'_>,
    id: KernelId,
    unit: UnitId,
    keys: u32,
    pack: u32,
    more: Vec<Field>,
    tiles: Expr,
) -> Kernel {
    let mut fields = vec![
        Field::Map(Tensor::Q, WG_ROWS),
        Field::Map(Tensor::K, keys),
        Field::Map(Tensor::V, keys),
        Field::Map(Tensor::Out, WG_ROWS),
        Field::Pointer(Scratch::AttendTickets.into(), Access::Count),
    ];
    fields.extend(more);
    Kernel {
        id,
        unit,
        arch: Arch::Sm90a,
        params: lay_out(fields),
        threads: cx.tiles.hopper.threads(),
        shared: number(cx.tiles.hopper.shared_bytes(cx.spec)),
        grid: [Expr::Multiprocessors.min(tiles), number(1), number(1)],
        pack,
        bounds: "CTA_THREADS, 1",
    }
}
