//! The table of kernels: the fields of each, its threads, its shared memory and its grid.

use super::abi::{Entry, Param, SharedBytes, Ty};
use super::sources::Family;
use super::{Tiles, features};
use crate::{Budget, Scorer, Spec};

/// Rows of a CTA of the scoring passes.
pub(super) const SCORING_ROWS: u32 = 128;
const SCORING_THREADS: u32 = 128;
pub(super) const POOL_THREADS: u32 = 128;
const COUNT_THREADS: u32 = 512;
const SELECT_THREADS: u32 = 128;
/// Heads of a group, and so cuts of its ranking, that `select` has room for.
const MAX_CUTS: u32 = 256;
/// Blocks of one CTA of the budget's pass over the keys: long enough to hide how it starts.
pub(super) const BLOCKS_PER_CTA: u64 = 16;

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
        match spec.scorer {
            Scorer::Proxy => proxy(spec, tiles, family, &mut tables),
        }
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

/// Proxies and their scores.
fn proxy(spec: &Spec, tiles: &Tiles, family: Family, tables: &mut Vec<Table>) {
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
