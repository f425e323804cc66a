//! The opening comment of a text, and its constants.

use super::hopper::BARRIER_BYTES;
use super::shape;
use super::{Buffer, Entry, Tiles};
use crate::{Arch, Budget, Share, Spec};
use core::fmt::Write;

/// What a reader wants to know before the first kernel.
pub(super) fn comment(
    spec: &Spec,
    arch: Arch,
    tiles: &Tiles,
    entries: &[&Entry],
    buffers: &[Buffer],
) -> String {
    let takes = |name: &str| entries.iter().any(|entry| entry.params.iter().any(|param| param.name == name));
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(if text.is_empty() { "//" } else { "// " });
        out.push_str(text);
        out.push('\n');
    };
    line(&format!(
        "proxyattn: {} for {arch}",
        match entries[0].unit {
            "dense" => "dense attention",
            "attend" => "block-sparse attention, given its lists",
            "score" => "the scores of block-sparse attention",
            "budget" => "the budgets of block-sparse attention",
            _ => "the lists of block-sparse attention",
        }
    ));
    line("");
    line("Configuration");
    for (key, value) in configuration(spec) {
        line(&format!("  {key:<10} {value}"));
    }
    line("");
    line(if matches!(spec.budget, Budget::Dynamic { .. }) {
        "Pipeline, in one stream; budget_* may run in another, beside pool_* and score"
    } else {
        "Pipeline, in one stream"
    });
    for entry in entries {
        let shared = match (entry.shared.fixed, entry.shared.per_block) {
            (0, _) => "no shared memory".to_owned(),
            (fixed, 0) => format!("{fixed} B shared"),
            (fixed, per_block) => format!("{fixed} + {per_block} · blocks B shared"),
        };
        let [x, y, z] = entry.grid;
        line(&format!("  {:<16} grid ({x}, {y}, {z}) × {} threads, {shared}", entry.name, entry.threads));
    }
    if !spec.is_dense() && takes("out") | takes("out_map") {
        line("  `dense` alone runs where the budget keeps every block, and `attend` otherwise.");
    }
    line("");
    line("Tensors, any strides that are multiples of 8 with the last 1, 16-byte aligned");
    line("  q, out [batch, heads, q_len, HEAD_DIM]; k, v [batch, kv_heads, kv_len, HEAD_DIM]");
    if takes("keys") || takes("keys_map") {
        let keys = if super::features::pools_keys(spec) {
            "keys = proxy_k".to_owned()
        } else if spec.stride.kv == 1 {
            "keys = k".to_owned()
        } else {
            format!(
                "keys = k at every {}th token: keys_sample is {} times k's token stride",
                spec.stride.kv, spec.stride.kv
            )
        };
        line(&format!("  {keys}"));
    }
    let mut buffers = buffers
        .iter()
        .filter(|buffer| takes(buffer.name) || takes(&format!("{}_map", buffer.name)))
        .peekable();
    if buffers.peek().is_some() {
        line("");
        line("Buffers, caller's; bytes = element × dimensions");
        for buffer in buffers {
            let elem = if buffer.elem == "elem" { spec.dtype.as_str() } else { buffer.elem };
            line(&format!("  {:<12} {elem:<5} [{}]: {}", buffer.name, buffer.dims.join(", "), buffer.holds));
        }
    }
    line("");
    line("Shared memory");
    for text in shared_memory(spec, tiles, entries) {
        line(&text);
    }
    out
}

/// What lies where in a CTA's shared memory.
pub(super) fn shared_memory(spec: &Spec, tiles: &Tiles, entries: &[&Entry]) -> Vec<String> {
    let row = spec.head_dim * 2;
    match entries[0].unit {
        unit @ ("score" | "budget") => vec![format!(
            "  {} in {BARRIER_BYTES} B; {} × {} B of queries; {} stages of {} B keys",
            if unit == "score" { "barriers and descriptions of work" } else { "barriers" },
            tiles.hopper.score_warpgroups,
            64 * row,
            tiles.hopper.score_stages,
            tiles.hopper.keys * row
        )],
        "scoring" => vec![
            format!(
                "  scoring:   {} B of queries, then in their place {} stages of {} B keys",
                super::kernels::SCORING_ROWS * row,
                tiles.ring_stages,
                tiles.ring_keys * row
            ),
            "  select:    words for a histogram, one a warp, the samples' levels, the cuts, and a rank for each block"
                .into(),
        ],
        _ if entries[0].hopper => {
            let t = &tiles.hopper;
            vec![
                format!(
                    "  {BARRIER_BYTES} B of barriers, full and empty of each stage and slot, and descriptions of work;"
                ),
                format!(
                    "  {} × {} slots of {} B of queries (later the output); of {} B each {} stages of keys, {} of values",
                    t.warpgroups,
                    t.query_slots,
                    64 * row,
                    t.keys * row,
                    t.key_stages(),
                    t.stages - t.key_stages(),
                ),
            ]
        }
        _ => vec![format!(
            "  {} B of queries (later the output), then {} stages of {tile} B keys + {tile} B values",
            tiles.heads * tiles.rows * row,
            tiles.stages,
            tile = tiles.keys * row
        )],
    }
}

fn configuration(spec: &Spec) -> Vec<(&'static str, String)> {
    let pinned =
        |count: Option<u32>, otherwise: &str| count.map_or(otherwise.to_owned(), |count| count.to_string());
    let mut lines = vec![
        ("head_dim", spec.head_dim.to_string()),
        ("dtype", spec.dtype.to_string()),
        ("block", format!("q = {}, kv = {}", spec.block.q, spec.block.kv)),
        ("heads", pinned(spec.heads, "any")),
        ("kv_heads", pinned(spec.kv_heads, "any")),
        ("causal", spec.causal.to_string()),
        ("scale", format!("{}", spec.softmax_scale())),
        ("budget", spec.budget.to_string()),
    ];
    if !spec.is_dense() {
        lines.push(("groups", pinned(spec.groups, "one per KV head")));
        lines.push(("stride", format!("q = {}, kv = {}", spec.stride.q, spec.stride.kv)));
        lines.push(("scorer", spec.scorer.to_string()));
        lines.push((
            "keep",
            format!("sink = {}, local = {}, and the diagonal", spec.keep.sink, spec.keep.local),
        ));
    }
    lines
}

/// The exponents of the scale at which [`MASKED`] will do; those of usual scales are among them.
const USUAL_SCALES: core::ops::RangeInclusive<i32> = -6..=20;
/// The exponent of the score of a pair that is not to be seen, at usual scales, as `tile.cuh` and `cta.cuh` have it.
const MASKED: i32 = 100;

/// Whether the scale is so large or so small that the usual masked score, multiplied by it, would be no f32, or would be
/// met by scores that count.
pub(super) fn has_unusual_scale(spec: &Spec) -> bool {
    !USUAL_SCALES.contains(&scale_exponent(spec))
}

fn scale_exponent(spec: &Spec) -> i32 {
    spec.softmax_scale_log2().log2().floor() as i32
}

/// The exponent of the masked score: times the scale, about 2¹⁰⁰, or as much as f32 holds before that.
fn masked_exponent(spec: &Spec) -> i32 {
    if has_unusual_scale(spec) { (MASKED - scale_exponent(spec)).min(f32::MAX_EXP - 1) } else { MASKED }
}

/// The constants of the configuration, and the open ones with their defaults: those that `text` speaks of.
pub(super) fn constants(spec: &Spec, tiles: &Tiles, text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let speaks_of = |name: &str| {
        text.split(|c| !word(c)).any(|found| found == name) && !text.contains(&format!("#define {name} "))
    };
    let scale = spec.softmax_scale_log2();
    let mut defines = vec![
        ("HEAD_DIM", spec.head_dim.to_string()),
        ("BLOCK_Q", spec.block.q.to_string()),
        ("BLOCK_KV", spec.block.kv.to_string()),
        ("STRIDE_Q", spec.stride.q.to_string()),
        ("STRIDE_KV", spec.stride.kv.to_string()),
        ("SAMPLES_Q", (spec.block.q / spec.stride.q).to_string()),
        ("SAMPLES_KV", (spec.block.kv / spec.stride.kv).to_string()),
        ("KEEP_SINK", spec.keep.sink.to_string()),
        ("KEEP_LOCAL", spec.keep.local.to_string()),
        ("MASKED_SCORE", format!("(-0x1p{}f)", masked_exponent(spec))),
        ("POOL_THREADS", super::kernels::POOL_THREADS.to_string()),
        ("LEVEL_SEGMENTS", super::kernels::LEVEL_SEGMENTS.to_string()),
        ("CODES_PER_LOG2", format!("{:.1}f", shape::CODES_PER_LOG2)),
    ];
    match spec.budget {
        Budget::Dynamic { gamma, min_tokens, .. } => {
            defines.push(("GAMMA_MILLIONTHS", Share::of(gamma).millionths().to_string()));
            defines.push(("MIN_BLOCKS", min_tokens.div_ceil(spec.block.kv).to_string()));
        }
        Budget::TopK { blocks } => defines.push(("TOP_K", blocks.to_string())),
        Budget::Ratio { share } => {
            defines.push(("RATIO_MILLIONTHS", Share::of(share).millionths().to_string()));
        }
        Budget::All => {}
    }
    let mut out = String::from("// The configuration.\n");
    for (name, value) in defines.into_iter().filter(|(name, _)| speaks_of(name)) {
        let _ = writeln!(out, "#define {name} {value}");
    }
    let _ = writeln!(out, "// Softmax in base 2: the scale times log2(e).\n#define SCALE_LOG2 {scale:?}f");
    out.push_str("\n// What the GPU decides.\n");
    for (name, value) in tiles.macros().into_iter().filter(|(name, _)| speaks_of(name)) {
        let _ = writeln!(out, "#ifndef {name}\n#define {name} {value}\n#endif");
    }
    out
}
