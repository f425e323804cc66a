//! Kernels and their parameters. The C struct in the text and the offsets that a launcher writes at come from the one
//! table here, so that they cannot disagree.
//!
//! A kernel takes one struct by value: tensor maps first, then eight-byte fields, then four-byte ones, so that there is
//! no padding and every offset is a running sum. A launcher fills `param_bytes` bytes, on a multiple of 64, and passes
//! their address as the only argument.

use super::shape::Shape;
use super::sources::Family;
use super::{Tiles, features};
use crate::{Budget, Spec};
use core::fmt::Write;

/// Rows of a CTA of the scoring passes.
pub(super) const SCORING_ROWS: u32 = 128;
const SCORING_THREADS: u32 = 128;
const POOL_THREADS: u32 = 128;
const COUNT_THREADS: u32 = 512;
const SELECT_THREADS: u32 = 128;
/// Heads of a group, and so cuts of its ranking, that `select` has room for.
const MAX_CUTS: u32 = 256;
/// Blocks of one CTA of the budget's pass over the keys: long enough to hide how it starts.
pub(super) const BLOCKS_PER_CTA: u64 = 16;

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
    bounds: &'static str,
    tiles: Tiles,
    spec: Spec,
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

const STRIDES_Q: &[&str] = &["q_batch", "q_head", "q_token"];
const STRIDES_K: &[&str] = &["k_batch", "k_head", "k_token"];
const STRIDES_V: &[&str] = &["v_batch", "v_head", "v_token"];
const STRIDES_OUT: &[&str] = &["out_batch", "out_head", "out_token"];

/// Where a kernel's fields come from: pointers, strides, numbers.
struct Table {
    name: &'static str,
    stage: &'static str,
    maps: Vec<(&'static str, u32)>,
    pointers: Vec<(&'static str, &'static str)>,
    strides: Vec<&'static [&'static str]>,
    numbers: Vec<&'static str>,
    threads: u32,
    shared: SharedBytes,
    grid: [&'static str; 3],
}

/// The kernels of a configuration, in the order in which they run; `dense` last, for contexts too short to drop blocks.
pub(super) fn entries(spec: &Spec, tiles: &Tiles, family: Family) -> Vec<Entry> {
    let mut tables = Vec::new();
    if !spec.is_dense() {
        tables.push(pool(
            "pool_queries",
            ("q", "proxy_q"),
            STRIDES_Q,
            &["q_samples", "groups", "heads_per_group"],
        ));
        if family.score {
            tables[0].pointers.push(("u32", "units"));
        }
        if features::pools_keys(spec) {
            tables.push(pool(
                "pool_keys",
                ("k", "proxy_k"),
                STRIDES_K,
                &["kv_samples", "groups", "kv_heads_per_group"],
            ));
        }
        tables.push(if family.score { score_hopper(spec, tiles) } else { score(spec, tiles) });
        if matches!(spec.budget, Budget::Dynamic { .. }) {
            tables.push(if family.budget {
                budget_partials_hopper(spec, tiles)
            } else {
                budget_partials(spec, tiles)
            });
            tables.push(budget_counts(spec));
        }
        tables.push(select(spec, family));
        tables.push(if family.attend { attend_hopper(spec, tiles) } else { attend(spec, tiles) });
    }
    tables.push(if family.dense { dense_hopper(spec, tiles) } else { dense(spec, tiles) });
    tables.into_iter().map(|table| lay_out(table, spec, tiles, family)).collect()
}

fn lay_out(table: Table, spec: &Spec, tiles: &Tiles, family: Family) -> Entry {
    let maps = table.maps.iter().map(|&(name, rows)| (name, Ty::TensorMap { rows }));
    let pointers = table.pointers.iter().map(|&(to, name)| (name, Ty::Pointer(to)));
    let strides = table.strides.iter().flat_map(|names| names.iter()).map(|&name| (name, Ty::I64));
    let numbers = table.numbers.iter().map(|&name| (name, Ty::I32));
    let params = maps.chain(pointers).chain(strides).chain(numbers).scan(0, |end, (name, ty)| {
        let offset = *end;
        *end += ty.bytes();
        Some(Param { name, ty, offset })
    });
    Entry {
        symbol: format!("proxyattn_{}", table.name),
        name: table.name,
        stage: table.stage,
        unit: match table.name {
            name @ ("attend" | "dense") => name,
            "score" if family.score => "score",
            "budget_partials" | "budget_counts" if family.budget => "budget",
            _ => "scoring",
        },
        hopper: !table.maps.is_empty(),
        bounds: bounds(&table, family),
        params: params.collect(),
        threads: table.threads,
        shared: table.shared,
        grid: table.grid,
        tiles: *tiles,
        spec: *spec,
    }
}

/// A kernel's launch bounds.
fn bounds(table: &Table, family: Family) -> &'static str {
    match table.name {
        _ if !table.maps.is_empty() => "CTA_THREADS, 1",
        // With 32 registers a thread, a CTA finds room beside one of the budget's, which runs meanwhile.
        "pool_queries" | "pool_keys" if family.budget => "POOL_THREADS, 2048 / POOL_THREADS",
        "pool_queries" | "pool_keys" => "POOL_THREADS",
        // Two CTAs to an SM: for a third, the compiler would spill.
        "score" | "budget_partials" => "SCORING_THREADS, 2",
        // One CTA is enough: left to itself, the compiler spills a few bytes to fit one more.
        "budget_counts" => "COUNT_THREADS, 1",
        // As many CTAs as hide how they wait: left to itself, the compiler takes a few registers more.
        "select" => "SELECT_THREADS, 10",
        _ => "TILE_THREADS",
    }
}

const fn fixed(fixed: u32) -> SharedBytes {
    SharedBytes { fixed, per_block: 0 }
}

fn pool(
    name: &'static str,
    (from, to): (&'static str, &'static str),
    strides: &'static [&'static str],
    numbers: &[&'static str],
) -> Table {
    let samples = if from == "q" {
        "ceil(q_samples · HEAD_DIM / 8 / 128)"
    } else {
        "ceil(kv_samples · HEAD_DIM / 8 / 128)"
    };
    Table {
        name,
        stage: "pool",
        maps: vec![],
        pointers: vec![("const Elem", from), ("Elem", to)],
        strides: vec![strides],
        numbers: numbers.to_vec(),
        threads: POOL_THREADS,
        shared: fixed(0),
        grid: [samples, "groups", "batch"],
    }
}

fn score(spec: &Spec, tiles: &Tiles) -> Table {
    Table {
        name: "score",
        stage: "score",
        maps: vec![],
        pointers: vec![
            ("const Elem", "proxy_q"),
            ("const Elem", "keys"),
            ("f16", "maxima"),
            ("float", "lse"),
        ],
        strides: vec![&["keys_batch", "keys_group", "keys_sample"]],
        numbers: vec!["q_len", "kv_len", "q_samples", "kv_samples", "rows", "blocks", "groups"],
        threads: SCORING_THREADS,
        shared: fixed(tiles.ring_bytes(spec)),
        grid: ["ceil(q_samples / 128)", "groups", "batch"],
    }
}

fn budget_partials(spec: &Spec, tiles: &Tiles) -> Table {
    Table {
        name: "budget_partials",
        stage: "budget",
        maps: vec![],
        pointers: vec![
            ("const Elem", "q"),
            ("const Elem", "k"),
            ("float", "partial_max"),
            ("float", "partial_sum"),
        ],
        strides: vec![STRIDES_Q, STRIDES_K],
        numbers: vec!["q_len", "kv_len", "blocks", "heads", "heads_per_kv", "blocks_per_cta"],
        threads: SCORING_THREADS,
        shared: fixed(tiles.ring_bytes(spec)),
        grid: ["ceil(heads_per_kv · BLOCK_Q / 128) · ceil(blocks / blocks_per_cta)", "kv_heads", "batch"],
    }
}

fn budget_counts(spec: &Spec) -> Table {
    Table {
        name: "budget_counts",
        stage: "budget",
        maps: vec![],
        pointers: vec![("const float", "partial_max"), ("const float", "partial_sum"), ("u32", "measured")],
        strides: vec![],
        numbers: vec!["q_len", "blocks", "heads"],
        threads: COUNT_THREADS,
        // A maximum and a sum for each warp and query, a vote for each warp, a mass for each block.
        shared: SharedBytes { fixed: COUNT_THREADS / 32 * (spec.block.q * 8 + 4), per_block: 4 },
        grid: ["heads", "batch", "1"],
    }
}

fn select(spec: &Spec, family: Family) -> Table {
    let dynamic = matches!(spec.budget, Budget::Dynamic { .. });
    let mut pointers = vec![("const f16", "maxima"), ("const float", "lse")];
    pointers.extend(dynamic.then_some(("const u32", "measured")));
    pointers.extend([("u32", "lists"), ("u32", "counts")]);
    pointers.extend(dynamic.then_some(("u32", "runs")));
    pointers.extend(family.attend.then_some(("u32", "tickets")));
    let mut numbers = vec!["q_len", "kv_len", "rows", "blocks", "groups", "heads_per_group"];
    if family.score {
        numbers.extend(["segments", "segment_keys"]);
    }
    // A histogram; as much for each warp; the samples' sums; counts, cuts and where they fall; and what rounds up.
    let samples = (spec.block.q / spec.stride.q).next_multiple_of(4);
    let words = 256 + SELECT_THREADS / 32 * MAX_CUTS + samples + 4 * MAX_CUTS + 4 + 3;
    Table {
        name: "select",
        stage: "select",
        maps: vec![],
        pointers,
        strides: vec![],
        numbers,
        threads: SELECT_THREADS,
        shared: SharedBytes { fixed: words * 4, per_block: 4 },
        grid: ["rows", "groups", "batch"],
    }
}

fn attend(spec: &Spec, tiles: &Tiles) -> Table {
    let mut table = dense(spec, tiles);
    table.name = "attend";
    table.pointers.extend([("const u32", "lists"), ("const u32", "counts")]);
    if spec.causal && matches!(spec.budget, Budget::Dynamic { .. }) {
        table.pointers.push(("const u32", "runs"));
    }
    table.numbers.extend(["blocks", "heads", "groups", "kv_heads_per_group"]);
    table
}

fn dense(spec: &Spec, tiles: &Tiles) -> Table {
    Table {
        name: "dense",
        stage: "attend",
        maps: vec![],
        pointers: vec![("const Elem", "q"), ("const Elem", "k"), ("const Elem", "v"), ("Elem", "out")],
        strides: vec![STRIDES_Q, STRIDES_K, STRIDES_V, STRIDES_OUT],
        numbers: vec!["q_len", "kv_len", "rows", "heads_per_kv"],
        threads: tiles.threads(),
        shared: fixed(tiles.attend_bytes(spec)),
        grid: ["rows · (BLOCK_Q / TILE_ROWS) · ceil(heads_per_kv / TILE_HEADS)", "kv_heads", "batch"],
    }
}

fn attend_hopper(spec: &Spec, tiles: &Tiles) -> Table {
    let mut table = dense_hopper(spec, tiles);
    table.name = "attend";
    let rows = tiles.hopper.piece_keys(spec);
    table.maps = vec![("q_map", 64), ("k_map", rows), ("v_map", rows), ("out_map", 64)];
    table.pointers.extend([("const u32", "lists"), ("const u32", "counts")]);
    if spec.causal && matches!(spec.budget, Budget::Dynamic { .. }) {
        table.pointers.push(("const u32", "runs"));
    }
    table.numbers = vec![
        "q_len",
        "kv_len",
        "rows",
        "blocks",
        "batch",
        "heads",
        "kv_heads",
        "heads_per_kv",
        "groups",
        "kv_heads_per_group",
    ];
    table.grid =
        ["min(multiprocessors, rows · ceil(heads_per_kv / PACK_HEADS) · kv_heads · batch)", "1", "1"];
    table
}

fn dense_hopper(spec: &Spec, tiles: &Tiles) -> Table {
    let rows = tiles.hopper.keys;
    Table {
        name: "dense",
        stage: "attend",
        maps: vec![("q_map", 64), ("k_map", rows), ("v_map", rows), ("out_map", 64)],
        pointers: vec![("u32", "tickets")],
        strides: vec![],
        numbers: vec!["q_len", "kv_len", "batch", "heads", "heads_per_kv"],
        threads: tiles.hopper.threads(),
        shared: fixed(tiles.hopper.shared_bytes(spec)),
        grid: ["min(multiprocessors, ceil(q_len / (64 · WARPGROUPS)) · heads · batch)", "1", "1"],
    }
}

fn score_hopper(spec: &Spec, tiles: &Tiles) -> Table {
    Table {
        name: "score",
        stage: "score",
        maps: vec![("proxy_q_map", 64), ("keys_map", tiles.hopper.keys)],
        pointers: vec![("f16", "maxima"), ("float", "lse"), ("u32", "units")],
        strides: vec![],
        numbers: vec![
            "q_len",
            "kv_len",
            "q_samples",
            "kv_samples",
            "rows",
            "blocks",
            "batch",
            "groups",
            "segments",
            "segment_keys",
        ],
        threads: tiles.hopper.score_threads(),
        shared: fixed(tiles.hopper.score_bytes(spec)),
        grid: [
            "min(multiprocessors, ceil(q_samples / (64 · SCORE_WARPGROUPS)) · segments · groups · batch)",
            "1",
            "1",
        ],
    }
}

fn budget_partials_hopper(spec: &Spec, tiles: &Tiles) -> Table {
    Table {
        name: "budget_partials",
        stage: "budget",
        maps: vec![("q_map", 64), ("k_map", tiles.hopper.keys)],
        pointers: vec![("float", "partial_max"), ("float", "partial_sum")],
        strides: vec![],
        numbers: vec!["q_len", "kv_len", "blocks", "batch", "kv_heads", "heads_per_kv"],
        threads: tiles.hopper.score_threads(),
        shared: fixed(tiles.hopper.score_bytes(spec)),
        grid: [
            "min(multiprocessors / packs, ceil(kv_len / STAGE_KEYS) · kv_heads · batch)",
            "packs = ceil(heads_per_kv · BLOCK_Q / (64 · SCORE_WARPGROUPS))",
            "1",
        ],
    }
}
