//! Attention with `mma.sync`: a CTA to a tile of some heads of a KV head.

use crate::Arch;
use crate::abi::build::{lay_out, number, numbers, read, strides, write};
use crate::abi::{Expr, Field, Kernel, KernelId, Macro, Scalar, Tensor, UnitId};
use crate::pipeline::Cx;

const COMMON: &[&str] = &["arch/portable/tile.cuh", "geometry/sequence.cuh", "attend/portable/flash.cuh"];
const ATTEND: &str = "attend/portable/attend.cuh";
const DENSE: &str = "attend/portable/dense.cuh";

pub(super) fn attend(cx: &Cx<'_>) -> Kernel {
    let mut lists = super::lists(cx);
    lists.extend(numbers([Scalar::Blocks, Scalar::Heads, Scalar::Groups, Scalar::KvHeadsPerGroup]));
    Kernel {
        files: [COMMON, super::diagonal(cx), &[ATTEND]].concat(),
        ..kernel(cx, KernelId::Attend, UnitId::Attend, lists)
    }
}

pub(super) fn dense(cx: &Cx<'_>) -> Kernel {
    kernel(cx, KernelId::Dense, UnitId::Dense, Vec::new())
}

/// `dense` but for what is its own; `more` are the fields of lists.
fn kernel(cx: &Cx<'_>, id: KernelId, unit: UnitId, more: Vec<Field>) -> Kernel {
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
        files: [COMMON, &[DENSE]].concat(),
    }
}

/// What lies in shared memory.
pub(super) fn memory(cx: &Cx<'_>) -> Vec<String> {
    let (row, tiles) = (cx.spec.head_dim * 2, cx.tiles);
    vec![format!(
        "{} B of queries (later the output), then {} stages of {tile} B keys + {tile} B values",
        tiles.heads * tiles.rows * row,
        tiles.stages,
        tile = tiles.keys * row
    )]
}
