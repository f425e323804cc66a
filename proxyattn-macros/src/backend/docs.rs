//! The rustdoc that the expansion adds: the resolved configuration, defaults included.

use super::item::Item;
use proxyattn_codegen::{Block, Spec, Stride};

/// The lines that follow the user's own documentation of the struct.
pub(crate) fn of_struct(item: &Item, spec: &Spec) -> Vec<String> {
    let mut lines = Vec::new();
    let documented = item.attrs.iter().any(|attr| attr.path().is_ident("doc"));
    let masked = if spec.causal { "causal" } else { "bidirectional" };
    let sparse = if spec.is_dense() { "Dense" } else { "Block-sparse" };
    if !documented {
        lines.push(format!(
            "{sparse} {masked} prefill attention for {} heads of width {}.",
            spec.dtype, spec.head_dim
        ));
    }
    lines
        .extend(["", "# Configuration", "", "| key | value | meaning |", "|---|---|---|"].map(str::to_owned));
    lines.extend(rows(spec).map(|[key, value, meaning]| format!("| `{key}` | {value} | {meaning} |")));
    lines
}

/// The lines on `load`.
pub(crate) const OF_LOAD: [&str; 6] = [
    "Makes the kernel ready on `device`.",
    "",
    "# Errors",
    "",
    "When `device` cannot run this configuration; the error says what is missing and what to do. The",
    "CPU can run every one.",
];

fn rows(spec: &Spec) -> impl Iterator<Item = [String; 3]> {
    let plain = |key: &str, value: String, meaning: &str| [key.to_owned(), value, meaning.to_owned()];
    let code = |value: String| format!("`{value}`");
    let pinned = |count: Option<u32>| count.map_or("any".to_owned(), |count| format!("`{count}`"));
    // A dense kernel neither scores nor selects.
    let scored =
        |meaning: &'static str| if spec.is_dense() { "unused: every block is visited" } else { meaning };
    let groups = spec.groups.map_or("one per KV head".to_owned(), |groups| format!("`{groups}`"));
    let scale = match spec.scale {
        Some(scale) => format!("`{scale}`"),
        None => format!("1/√{} ≈ {:.6}", spec.head_dim, spec.softmax_scale()),
    };
    let mask =
        if spec.causal { "a query sees keys up to its own position" } else { "a query sees every key" };
    [
        plain("head_dim", code(spec.head_dim.to_string()), "width of one head"),
        plain("block", block(spec.block), "tokens that are kept or dropped together"),
        plain("groups", groups, scored("proxy heads, each scoring for its KV heads")),
        plain("heads", pinned(spec.heads), "query heads"),
        plain("kv_heads", pinned(spec.kv_heads), "key/value heads"),
        plain(
            "stride",
            stride(spec.stride),
            scored("of each window of this many tokens, the first is scored"),
        ),
        plain("dtype", code(spec.dtype.to_string()), "element type of Q, K, V and the output"),
        plain("causal", code(spec.causal.to_string()), mask),
        plain("scale", scale, "factor on q·k before the softmax"),
        plain("scorer", code(spec.scorer.to_string()), scored("how blocks are scored")),
        ["budget".to_owned(), code(spec.budget.to_string()), spec.budget.meaning()],
        plain(
            "keep",
            code(format!("sink = {}, local = {}", spec.keep.sink, spec.keep.local)),
            scored("first and nearest blocks that are kept whatever their score"),
        ),
        plain("arch", code(spec.arch.to_string()), "GPU families that the kernel is generated for"),
    ]
    .into_iter()
}

fn block(Block { q, kv }: Block) -> String {
    sides(q, kv)
}

fn stride(Stride { q, kv }: Stride) -> String {
    sides(q, kv)
}

fn sides(q: u32, kv: u32) -> String {
    if q == kv { format!("`{q}`") } else { format!("`q = {q}, kv = {kv}`") }
}
