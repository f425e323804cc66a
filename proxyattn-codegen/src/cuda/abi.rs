//! Kernels and their parameters. The C struct in the text and the offsets that a launcher writes at come from the one
//! table here, so that they cannot disagree.
//!
//! A kernel takes one struct by value: eight-byte fields first, then four-byte ones, so that there is no padding and
//! every offset is a running sum. A launcher fills `param_bytes` bytes and passes their address as the only argument.

use super::shape::Shape;
use super::{Tiles, features};
use crate::{Budget, Spec};
use core::fmt::Write;

/// Rows of a CTA of the scoring passes.
pub(super) const SCORING_ROWS: u32 = 128;
const SCORING_THREADS: u32 = 128;
const POOL_THREADS: u32 = 256;
const COUNT_THREADS: u32 = 512;
const SELECT_THREADS: u32 = 256;
/// Blocks of one CTA of the budget's pass over the keys: long enough to hide how it starts.
const BLOCKS_PER_CTA: u64 = 16;

/// Type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    /// A device pointer, with the C type of what it points at.
    Pointer(&'static str),
    /// A 64-bit integer: strides, in elements.
    I64,
    /// A 32-bit integer: lengths and counts.
    I32,
}

impl Ty {
    /// Bytes, which are its alignment too.
    pub const fn bytes(self) -> u32 {
        match self {
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
    /// Its parameters, in the struct's order.
    pub params: Vec<Param>,
    /// Threads of a CTA.
    pub threads: u32,
    /// Shared memory of a CTA.
    pub shared: SharedBytes,
    /// The grid, as expressions of the shape.
    pub grid: [&'static str; 3],
    tiles: Tiles,
    spec: Spec,
}

impl Entry {
    /// Bytes of the parameter struct.
    pub fn param_bytes(&self) -> u32 {
        let end = self.params.last().map_or(0, |last| last.offset + last.ty.bytes());
        end.next_multiple_of(8)
    }

    /// Bytes of shared memory for a shape.
    pub fn shared_bytes(&self, shape: &Shape) -> u64 {
        u64::from(self.shared.fixed) + u64::from(self.shared.per_block) * shape.blocks(&self.spec)
    }

    /// The grid for a shape.
    pub fn grid(&self, shape: &Shape) -> [u64; 3] {
        let (spec, tiles) = (&self.spec, &self.tiles);
        let chunks = u64::from(spec.head_dim / 8);
        let (batch, groups, ratio) = (shape.batch, shape.groups(spec), shape.heads_per_kv());
        match self.name {
            "pool_queries" => [(shape.q_samples(spec) * chunks).div_ceil(POOL_THREADS.into()), groups, batch],
            "pool_keys" => [(shape.kv_samples(spec) * chunks).div_ceil(POOL_THREADS.into()), groups, batch],
            "score" => [shape.q_samples(spec).div_ceil(SCORING_ROWS.into()), groups, batch],
            "budget_partials" => {
                let packs = ratio.div_ceil((SCORING_ROWS / spec.block.q).into());
                [packs * shape.blocks(spec).div_ceil(BLOCKS_PER_CTA), shape.kv_heads, batch]
            }
            "budget_counts" => [shape.heads, batch, 1],
            "select" => [shape.rows(spec), groups, batch],
            _ => {
                let row_tiles = u64::from(spec.block.q / tiles.rows);
                [shape.rows(spec) * row_tiles * ratio.div_ceil(tiles.heads.into()), shape.kv_heads, batch]
            }
        }
    }

    /// The value of a four-byte parameter for a shape, or `None` for a name that this kernel does not take.
    pub fn value(&self, name: &str, shape: &Shape) -> Option<u64> {
        let spec = &self.spec;
        self.params.iter().find(|param| param.name == name && param.ty == Ty::I32)?;
        Some(match name {
            "q_len" => shape.q_len,
            "kv_len" => shape.kv_len,
            "rows" => shape.rows(spec),
            "blocks" => shape.blocks(spec),
            "heads" => shape.heads,
            "groups" => shape.groups(spec),
            "heads_per_kv" => shape.heads_per_kv(),
            "heads_per_group" => shape.heads / shape.groups(spec),
            "kv_heads_per_group" => shape.kv_heads / shape.groups(spec),
            "q_samples" => shape.q_samples(spec),
            "kv_samples" => shape.kv_samples(spec),
            "blocks_per_cta" => BLOCKS_PER_CTA,
            other => unreachable!("no value is called `{other}`"),
        })
    }

    /// The struct and the signature, as the text has them.
    pub(super) fn signature(&self) -> String {
        let mut out = format!("struct {} {{\n", self.struct_name());
        for param in &self.params {
            let ty = match param.ty {
                Ty::Pointer(to) => format!("{to}* "),
                Ty::I64 => "i64 ".into(),
                Ty::I32 => "i32 ".into(),
            };
            let _ = writeln!(out, "    {ty}{};", param.name);
        }
        let _ = write!(
            out,
            "}};\nextern \"C\" __global__ void __launch_bounds__({})\n{}(const __grid_constant__ {} p)\n",
            self.bounds(),
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

    fn bounds(&self) -> &'static str {
        match self.name {
            "pool_queries" | "pool_keys" => "POOL_THREADS",
            // Two CTAs to an SM: for a third, the compiler would spill.
            "score" | "budget_partials" => "SCORING_THREADS, 2",
            "budget_counts" => "COUNT_THREADS",
            // One CTA is enough: left to itself, the compiler spills a few bytes to fit one more.
            "select" => "SELECT_THREADS, 1",
            _ => "TILE_THREADS",
        }
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
    pointers: Vec<(&'static str, &'static str)>,
    strides: Vec<&'static [&'static str]>,
    numbers: Vec<&'static str>,
    threads: u32,
    shared: SharedBytes,
    grid: [&'static str; 3],
}

/// The kernels of a configuration, in the order in which they run; `dense` last, for contexts too short to drop blocks.
pub(super) fn entries(spec: &Spec, tiles: &Tiles) -> Vec<Entry> {
    let mut tables = Vec::new();
    if !spec.is_dense() {
        tables.push(pool(
            "pool_queries",
            ("q", "proxy_q"),
            STRIDES_Q,
            &["q_samples", "groups", "heads_per_group"],
        ));
        if features::pools_keys(spec) {
            tables.push(pool(
                "pool_keys",
                ("k", "proxy_k"),
                STRIDES_K,
                &["kv_samples", "groups", "kv_heads_per_group"],
            ));
        }
        tables.push(score(spec, tiles));
        if matches!(spec.budget, Budget::Dynamic { .. }) {
            tables.push(budget_partials(spec, tiles));
            tables.push(budget_counts());
        }
        tables.push(select(spec));
        tables.push(attend(spec, tiles));
    }
    tables.push(dense(spec, tiles));
    tables.into_iter().map(|table| lay_out(table, spec, tiles)).collect()
}

fn lay_out(table: Table, spec: &Spec, tiles: &Tiles) -> Entry {
    let pointers = table.pointers.iter().map(|&(to, name)| (name, Ty::Pointer(to)));
    let strides = table.strides.iter().flat_map(|names| names.iter()).map(|&name| (name, Ty::I64));
    let numbers = table.numbers.iter().map(|&name| (name, Ty::I32));
    let params = pointers.chain(strides).chain(numbers).scan(0, |end, (name, ty)| {
        let offset = *end;
        *end += ty.bytes();
        Some(Param { name, ty, offset })
    });
    Entry {
        symbol: format!("proxyattn_{}", table.name),
        name: table.name,
        stage: table.stage,
        params: params.collect(),
        threads: table.threads,
        shared: table.shared,
        grid: table.grid,
        tiles: *tiles,
        spec: *spec,
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
        "ceil(q_samples · HEAD_DIM / 8 / 256)"
    } else {
        "ceil(kv_samples · HEAD_DIM / 8 / 256)"
    };
    Table {
        name,
        stage: "pool",
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
        pointers: vec![
            ("const Elem", "proxy_q"),
            ("const Elem", "keys"),
            ("float", "maxima"),
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

fn budget_counts() -> Table {
    Table {
        name: "budget_counts",
        stage: "budget",
        pointers: vec![
            ("const float", "partial_max"),
            ("const float", "partial_sum"),
            ("u32", "masses"),
            ("u32", "measured"),
        ],
        strides: vec![],
        numbers: vec!["q_len", "blocks", "heads"],
        threads: COUNT_THREADS,
        // A maximum and a sum for each thread, a vote for each warp.
        shared: fixed(COUNT_THREADS * 8 + COUNT_THREADS / 32 * 4),
        grid: ["heads", "batch", "1"],
    }
}

fn select(spec: &Spec) -> Table {
    let dynamic = matches!(spec.budget, Budget::Dynamic { .. });
    let mut pointers = vec![("const float", "maxima"), ("const float", "lse")];
    pointers.extend(dynamic.then_some(("const u32", "measured")));
    pointers.extend([("u32", "lists"), ("u32", "counts")]);
    pointers.extend(dynamic.then_some(("u32", "runs")));
    let cuts = if dynamic { SELECT_THREADS } else { 1 };
    let words = spec.block.q / spec.stride.q + 256 + 4 + cuts * (4 + SELECT_THREADS / 32);
    Table {
        name: "select",
        stage: "select",
        pointers,
        strides: vec![],
        numbers: vec!["q_len", "kv_len", "rows", "blocks", "groups", "heads_per_group"],
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
        pointers: vec![("const Elem", "q"), ("const Elem", "k"), ("const Elem", "v"), ("Elem", "out")],
        strides: vec![STRIDES_Q, STRIDES_K, STRIDES_V, STRIDES_OUT],
        numbers: vec!["q_len", "kv_len", "rows", "heads_per_kv"],
        threads: tiles.threads(),
        shared: fixed(tiles.attend_bytes(spec)),
        grid: ["rows · (BLOCK_Q / TILE_ROWS) · ceil(heads_per_kv / TILE_HEADS)", "kv_heads", "batch"],
    }
}
