//! The opening comment of a text, and its constants.

use crate::abi::{Buffer, Expr, Kernel, Keys, Operand, Size, Tensor, UnitId};
use crate::arch::Tiles;
use crate::pipeline::Pipeline;
use crate::{Arch, Spec, Stage};
use core::fmt::Write;

/// What a reader wants to know before the first kernel.
pub(crate) fn comment(pipeline: &Pipeline, spec: &Spec, arch: Arch, unit: UnitId) -> String {
    let kernels: Vec<&Kernel> = pipeline.of_unit(unit).collect();
    let operands = || kernels.iter().flat_map(|kernel| kernel.operands());
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(if text.is_empty() { "//" } else { "// " });
        out.push_str(text);
        out.push('\n');
    };
    let does = match unit {
        UnitId::Dense => "attention over every block",
        UnitId::Attend => "attention over the lists",
        UnitId::Score => "scores of blocks",
        UnitId::Budget => "budgets of heads",
        UnitId::Scoring => "from inputs to lists",
    };
    line(&format!("proxyattn for {arch}, unit `{unit}`: {does}"));
    line("");
    line("Configuration");
    for (key, value) in configuration(spec) {
        line(&format!("  {key:<10} {value}"));
    }
    line("");
    let (beside, budget) = (pipeline.beside_score(), |kernel: &&Kernel| kernel.id.stage() == Stage::Budget);
    let beside = match pipeline.kernels().iter().filter(budget).count() {
        _ if beside.is_empty() => String::new(),
        all if all == beside.len() => "; budget_* may run in another, beside pool_* and score".to_owned(),
        _ => {
            let names: Vec<_> = beside.iter().map(|id| id.name()).collect();
            format!("; {} may run in another, beside pool_* and score", names.join(", "))
        }
    };
    line(&format!("Pipeline, in one stream{beside}. Marked: the kernels of this unit"));
    for kernel in pipeline.kernels() {
        if kernel.unit != unit {
            line(&format!("    {:<16} in unit `{}`", kernel.id, kernel.unit));
            continue;
        }
        let shared = match &kernel.shared {
            Expr::Size(Size::Number(0)) => "no shared memory".to_owned(),
            bytes => format!("{bytes} B shared"),
        };
        let [x, y, z] = &kernel.grid;
        line(&format!("  > {:<16} grid ({x}, {y}, {z}) × {} threads, {shared}", kernel.id, kernel.threads));
    }
    if !spec.is_dense() {
        line("  `dense` alone runs where the budget keeps every block, the others where it does not.");
    }
    line("");
    line("Tensors, any strides that are multiples of 8 with the last 1, 16-byte aligned");
    line("  q, out [batch, heads, q_len, HEAD_DIM]; k, v [batch, kv_heads, kv_len, HEAD_DIM]");
    let keys = operands().find_map(|operand| match operand {
        Operand::Tensor(Tensor::Keys(keys)) => Some(keys),
        Operand::Tensor(_) | Operand::Scratch(_) => None,
    });
    if let Some(keys) = keys {
        let window = spec.sample_window().kv;
        let keys = match keys {
            Keys::Pooled => "keys = proxy_k".to_owned(),
            Keys::Pooled8 => "keys = proxy_k8".to_owned(),
            Keys::Sampled if window == 1 => "keys = k".to_owned(),
            Keys::Sampled => format!(
                "keys = k at every {}th token: keys_sample is {} times k's token stride",
                window, window
            ),
        };
        line(&format!("  {keys}"));
    }
    // What `keys` are has just been said.
    let named = |operand: Operand| match operand {
        Operand::Tensor(Tensor::Keys(_)) => None,
        Operand::Tensor(_) | Operand::Scratch(_) => operand.scratch(),
    };
    let taken = |buffer: &&Buffer| operands().any(|operand| named(operand) == Some(buffer.scratch));
    let mut buffers = pipeline.buffers().iter().filter(taken).peekable();
    if buffers.peek().is_some() {
        line("");
        line("Buffers, caller's; bytes = element × dimensions");
        for buffer in buffers {
            let elem = buffer.scratch.elem().name(spec.dtype);
            line(&format!("  {:<12} {elem:<5} {}: {}", buffer.scratch, buffer.extents(), buffer.holds));
        }
    }
    line("");
    line("Shared memory");
    for text in pipeline.memory(unit) {
        line(&format!("  {text}"));
    }
    out
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
pub(crate) fn has_unusual_scale(spec: &Spec) -> bool {
    !USUAL_SCALES.contains(&scale_exponent(spec))
}

fn scale_exponent(spec: &Spec) -> i32 {
    spec.softmax_scale_log2().log2().floor() as i32
}

/// The masked score: times the scale, about 2¹⁰⁰, or as much as f32 holds before that.
pub(crate) fn masked_score(spec: &Spec) -> String {
    let exponent = match has_unusual_scale(spec) {
        true => (MASKED - scale_exponent(spec)).min(f32::MAX_EXP - 1),
        false => MASKED,
    };
    format!("(-0x1p{exponent}f)")
}

/// The constants of the configuration, and the open ones with their defaults: those that `text` speaks of.
pub(crate) fn constants(pipeline: &Pipeline, spec: &Spec, tiles: &Tiles, text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let speaks_of = |name: &str| {
        text.split(|c| !word(c)).any(|found| found == name) && !text.contains(&format!("#define {name} "))
    };
    let mut out = String::from("// The configuration.\n");
    for (name, value) in pipeline.defines().iter().filter(|(name, _)| speaks_of(name)) {
        let _ = writeln!(out, "#define {name} {value}");
    }
    let scale = spec.softmax_scale_log2();
    let _ = writeln!(out, "// Softmax in base 2: the scale times log2(e).\n#define SCALE_LOG2 {scale:?}f");
    for (heading, defines) in pipeline.tables() {
        let mut defines = defines.iter().filter(|(name, _)| speaks_of(name)).peekable();
        if defines.peek().is_some() {
            let _ = writeln!(out, "\n// {heading}");
        }
        for (name, value) in defines {
            let _ = writeln!(out, "#define {name} {value}");
        }
    }
    out.push_str("\n// What the GPU decides.\n");
    for (name, value) in tiles.macros().into_iter().filter(|(name, _)| speaks_of(name)) {
        let _ = writeln!(out, "#ifndef {name}\n#define {name} {value}\n#endif");
    }
    out
}
