//! Kernels and their parameters. The C struct in the text and the offsets that a launcher writes at come from one
//! table, so that they cannot disagree.
//!
//! A kernel takes one struct by value: tensor maps first, then eight-byte fields, then four-byte ones, so that there is
//! no padding and every offset is a running sum. A launcher fills `param_bytes` bytes, on a multiple of 64, and passes
//! their address as the only argument.

use super::Tiles;
use super::kernels::{BLOCKS_PER_CTA, POOL_THREADS, SCORING_ROWS};
use super::shape::Shape;
use crate::Spec;
use core::fmt::Write;

/// Type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    /// A tensor map of the 16-bit elements of `tensor` ([`Param::name`] without `_map`), seen as
    /// `[batch, heads, tokens, HEAD_DIM]`: boxes of 64 elements of `rows` tokens, under the 128-byte swizzle.
    TensorMap {
        /// Tokens of a box.
        rows: u32,
    },
    /// A device pointer, with the C type of what it points at.
    Pointer(&'static str),
    /// A 64-bit integer: strides, in elements.
    I64,
    /// A 32-bit integer: lengths and counts.
    I32,
}

impl Ty {
    /// Bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Ty::TensorMap { .. } => 128,
            Ty::Pointer(_) | Ty::I64 => 8,
            Ty::I32 => 4,
        }
    }
}

/// One field of a kernel's parameter struct. A name means the same in every kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// The field's name.
    pub name: &'static str,
    /// Its type.
    pub ty: Ty,
    /// Where it lies in the struct.
    pub offset: u32,
}

/// Dynamic shared memory of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedBytes {
    /// Whatever the shape.
    pub fixed: u32,
    /// For each key block of the problem.
    pub per_block: u32,
}

/// One kernel of a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its symbol: `proxyattn_attend`.
    pub symbol: String,
    /// Its name, and that of its struct: `attend`, `AttendParams`.
    pub name: &'static str,
    /// The stage that it belongs to.
    pub stage: &'static str,
    /// The [`Unit`](super::Unit) that it is in.
    pub unit: &'static str,
    /// Whether it is written for Hopper.
    pub hopper: bool,
    /// Its parameters, in the struct's order.
    pub params: Vec<Param>,
    /// Threads of a CTA.
    pub threads: u32,
    /// Shared memory of a CTA.
    pub shared: SharedBytes,
    /// The grid, as expressions of the shape.
    pub grid: [&'static str; 3],
    pub(super) bounds: &'static str,
    pub(super) tiles: Tiles,
    pub(super) spec: Spec,
}

impl Entry {
    /// Bytes of the parameter struct.
    pub fn param_bytes(&self) -> u32 {
        let end = self.params.last().map_or(0, |last| last.offset + last.ty.bytes());
        let maps = self.params.iter().any(|param| matches!(param.ty, Ty::TensorMap { .. }));
        end.next_multiple_of(if maps { 64 } else { 8 })
    }

    /// Bytes of shared memory for a shape.
    pub fn shared_bytes(&self, shape: &Shape) -> u64 {
        u64::from(self.shared.fixed) + u64::from(self.shared.per_block) * shape.blocks(&self.spec)
    }

    /// The grid for a shape, on a GPU with that many multiprocessors.
    pub fn grid(&self, shape: &Shape, multiprocessors: u64) -> [u64; 3] {
        let (spec, tiles) = (&self.spec, &self.tiles);
        let chunks = u64::from(spec.head_dim / 8);
        let (batch, groups, ratio) = (shape.batch, shape.groups(spec), shape.heads_per_kv());
        match self.name {
            "pool_queries" => [(shape.q_samples(spec) * chunks).div_ceil(POOL_THREADS.into()), groups, batch],
            "pool_keys" => [(shape.kv_samples(spec) * chunks).div_ceil(POOL_THREADS.into()), groups, batch],
            "score" if !self.hopper => [shape.q_samples(spec).div_ceil(SCORING_ROWS.into()), groups, batch],
            "budget_partials" if !self.hopper => {
                let packs = ratio.div_ceil((SCORING_ROWS / spec.block.q).into());
                [packs * shape.blocks(spec).div_ceil(BLOCKS_PER_CTA), shape.kv_heads, batch]
            }
            "budget_counts" => [shape.heads, batch, 1],
            "select" => [shape.rows(spec), groups, batch],
            // These take tile after tile.
            "score" if self.hopper => {
                let tiles = shape.q_samples(spec).div_ceil(tiles.hopper.score_rows().into());
                [multiprocessors.min(tiles * shape.segments(spec) * groups * batch), 1, 1]
            }
            "budget_partials" if self.hopper => {
                let packs = ratio.div_ceil((tiles.hopper.score_rows() / spec.block.q).into());
                let stages = shape.kv_len.div_ceil(tiles.hopper.keys.into());
                let line = stages * shape.kv_heads * batch;
                [(multiprocessors / packs).clamp(1, line), packs, 1]
            }
            "attend" if self.hopper => {
                let packs = ratio.div_ceil(tiles.hopper.heads(spec).into());
                [multiprocessors.min(shape.rows(spec) * packs * shape.kv_heads * batch), 1, 1]
            }
            "dense" if self.hopper => {
                let row_tiles = shape.q_len.div_ceil((tiles.hopper.warpgroups * 64).into());
                [multiprocessors.min(row_tiles * shape.heads * batch), 1, 1]
            }
            _ => {
                let row_tiles = u64::from(spec.block.q / tiles.rows);
                [shape.rows(spec) * row_tiles * ratio.div_ceil(tiles.heads.into()), shape.kv_heads, batch]
            }
        }
    }

    /// Query heads of a KV head that share a CTA: a number of heads that is no multiple of it leaves warps idle.
    pub fn pack(&self) -> u32 {
        match self.name {
            "attend" if self.hopper => self.tiles.hopper.heads(&self.spec),
            "attend" | "dense" if !self.hopper => self.tiles.heads,
            _ => 1,
        }
    }

    /// The value of a four-byte parameter for a shape, or `None` for a name that this kernel does not take.
    pub fn value(&self, name: &str, shape: &Shape) -> Option<u64> {
        self.params.iter().find(|param| param.name == name && param.ty == Ty::I32)?;
        Shape::value(name).map(|value| value(shape, &self.spec))
    }

    /// The struct and the signature, as the text has them.
    pub(super) fn signature(&self) -> String {
        let mut out = format!("struct {} {{\n", self.struct_name());
        for param in &self.params {
            let ty = match param.ty {
                Ty::TensorMap { .. } => "TensorMap ".into(),
                Ty::Pointer(to) => format!("{to}* "),
                Ty::I64 => "i64 ".into(),
                Ty::I32 => "i32 ".into(),
            };
            let _ = writeln!(out, "    {ty}{};", param.name);
        }
        let _ = write!(
            out,
            "}};\nextern \"C\" __global__ void __launch_bounds__({})\n{}(const __grid_constant__ {} p)\n",
            self.bounds,
            self.symbol,
            self.struct_name()
        );
        out
    }

    /// The name of the parameter struct: `AttendParams`.
    pub fn struct_name(&self) -> String {
        let words = self.name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
        words.collect::<String>() + "Params"
    }
}
