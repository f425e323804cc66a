//! The report: for people, and as JSON.

use super::measure::{Outcome, Timing};
use proxyattn::codegen::Spec;
use proxyattn::{Device, Error, Stage};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Cells of the longest bar.
const BAR: usize = 24;

/// The kernel's configuration in one line.
pub(super) fn configuration(spec: &Spec, groups: usize, kv_heads: usize) -> String {
    let proxies = match (groups, groups == kv_heads) {
        (_, true) => "one proxy per KV head".into(),
        (1, _) => "one proxy".into(),
        _ => format!("{groups} proxies"),
    };
    let block = match spec.block.q == spec.block.kv {
        true => format!("block {}", spec.block.kv),
        false => format!("block {} × {}", spec.block.q, spec.block.kv),
    };
    match spec.is_dense() {
        true => format!("{block} · every block"),
        false => {
            format!("{block} · {proxies} · stride {}/{} · {}", spec.stride.q, spec.stride.kv, spec.budget)
        }
    }
}

/// The report for people.
pub(super) fn text(outcome: &Outcome, source: &str) -> String {
    let mut out = verdict(outcome);
    let p = &outcome.problem;
    let mut line = |name: &str, text: String| {
        writeln!(out, "  {name:<10}{text}").expect("a String takes any text");
    };
    line("input", source.into());
    let batch = if p.batch > 1 { format!("batch {} · ", p.batch) } else { String::new() };
    let tokens = match p.q_len == p.kv_len {
        true => format!("{} tokens", p.kv_len),
        false => format!("the last {} of {} tokens", p.q_len, p.kv_len),
    };
    let spec = &outcome.spec;
    line(
        "",
        format!(
            "{batch}{tokens} · {} heads on {} KV heads · head_dim {} · {}",
            p.heads, p.kv_heads, spec.head_dim, spec.dtype
        ),
    );
    line("kernel", configuration(spec, outcome.groups, p.kv_heads));
    line("device", outcome.device.to_string());
    if let (Device::Cpu, Some(reason)) = (&outcome.device, Device::why_not_cuda()) {
        line("", in_short(&reason));
    }
    out.push('\n');
    heads(&mut out, outcome);
    out.push('\n');
    quality(&mut out, outcome);
    out.push('\n');
    times(&mut out, outcome);
    out
}

/// What the figures below come to.
fn verdict(outcome: &Outcome) -> String {
    let [sparse, dense] = [&outcome.sparse, &outcome.dense].map(|timing| ms(timing.total()));
    if let Some(why) = outcome.why_dense {
        return format!("  Ran dense, {sparse:.0} ms: {why}.\n\n");
    }
    let mut text = format!(
        "  {:.0}% of the blocks hold {:.0}% of the attention: {:.1}× as fast as dense attention, {sparse:.0} ms for \
         {dense:.0} ms.\n  The output differs from dense attention's by {:.1}% (relative L2).\n",
        100.0 * outcome.density,
        100.0 * outcome.recall,
        outcome.speedup(),
        100.0 * outcome.rel_l2,
    );
    if let Some(why) = outcome.why_usually_dense {
        writeln!(text, "  A program would run this input dense: {why}.").expect("a String takes any text");
    }
    text + "\n"
}

/// The first clause of why a GPU is not used; `proxyattn doctor` has the rest.
fn in_short(reason: &Error) -> String {
    let text = match reason {
        Error::Unavailable { what, why, .. } => format!("{what} is not available: {why}"),
        other => other.to_string(),
    };
    text.split(": ").take(2).collect::<Vec<_>>().join(": ")
}

fn heads(out: &mut String, outcome: &Outcome) {
    let mut push = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    let blocks = "blocks visited by the last row";
    push(format!("  {:<10}{blocks:<36}{:>9}{:>10}{:>10}", "head", "density", "recall", "best"));
    for (index, head) in outcome.heads.iter().enumerate() {
        let bar = bar(head.budget as f64 / head.visible as f64);
        let count = format!("{}/{}", head.budget, head.visible);
        push(format!(
            "  {:<10}{bar} {count:<10} {:>9.3}{:>10.3}{:>10.3}",
            head_name(outcome, index),
            head.density,
            head.recall,
            head.recall_oracle
        ));
    }
    push(format!(
        "  {:<46}{:>9.3}{:>10.3}{:>10.3}",
        "all", outcome.density, outcome.recall, outcome.recall_oracle
    ));
}

/// `3`, or `sequence.head` in a batch.
pub(super) fn head_name(outcome: &Outcome, index: usize) -> String {
    let heads = outcome.problem.heads;
    if outcome.problem.batch > 1 { format!("{}.{}", index / heads, index % heads) } else { index.to_string() }
}

fn quality(out: &mut String, outcome: &Outcome) {
    let mut line = |name: &str, value: f64, text: String| {
        writeln!(out, "  {name:<10}{value:>7.4}   {text}").expect("a String takes any text");
    };
    let geometry = outcome.selection.geometry();
    line("density", outcome.density, "of the blocks are visited, over all rows of query blocks".into());
    let rows = match outcome.mass.rows().len() {
        computed if computed == geometry.rows() => String::new(),
        computed => format!(" (on {computed} of {} rows of blocks)", geometry.rows()),
    };
    line("recall", outcome.recall, format!("of the true attention lies in the visited blocks{rows}"));
    line("best", outcome.recall_oracle, "is the most that as many blocks can hold".into());
    if let Some(needles) = outcome.needle_recall {
        line(
            "needles",
            needles,
            "of the planted tokens are visited by the queries that look for them".into(),
        );
    }
    line(
        "rel. L2",
        outcome.rel_l2,
        "is ‖sparse − dense‖ / ‖dense‖ of the output: 0 if they are equal".into(),
    );
    let floor = outcome.spec.budget.floor_tokens(outcome.spec.block);
    if outcome.why_dense.is_none() && floor > 0 {
        let text = "The last row alone has a lower density: every row visits at least";
        writeln!(out, "  {text} {floor} tokens,\n  which is more of a short row.")
            .expect("a String takes any text");
    }
}

fn times(out: &mut String, outcome: &Outcome) {
    let mut push = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    let total = outcome.sparse.total();
    let runs = |timing: &Timing| match timing.runs {
        1 => "one run".into(),
        runs => format!("median of {runs} runs"),
    };
    push(format!("  {:<10}{:>10}", "stage", "ms"));
    for &stage in Stage::ALL {
        let time = outcome.sparse.times.of(stage);
        let share = time.as_secs_f64() / total.as_secs_f64();
        push(format!("  {:<10}{:>10.2}   {}", stage.to_string(), ms(time), bar(share)));
    }
    push(format!("  {:<10}{:>10.2}   {}", "sparse", ms(total), runs(&outcome.sparse)));
    push(format!("  {:<10}{:>10.2}   {}", "dense", ms(outcome.dense.total()), runs(&outcome.dense)));
    push(format!("  {:<10}{:>9.2}×", "speed-up", outcome.speedup()));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A bar of fixed width, exact to an eighth of a cell.
fn bar(share: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let filled = (share.clamp(0.0, 1.0) * (8 * BAR) as f64).round() as usize;
    let mut bar = "█".repeat(filled / 8);
    if !filled.is_multiple_of(8) {
        bar.push(EIGHTHS[filled % 8]);
    }
    bar.extend(std::iter::repeat_n(' ', BAR - filled.div_ceil(8)));
    bar
}

/// The report as one JSON object.
pub(super) fn json(outcome: &Outcome, source: &str) -> Value {
    let (p, spec) = (&outcome.problem, &outcome.spec);
    let stage = |stage| ms(outcome.sparse.times.of(stage));
    json!({
        "device": outcome.device.to_string(),
        "input": source,
        "config": {
            "head_dim": spec.head_dim,
            "dtype": spec.dtype.to_string(),
            "block_q": spec.block.q,
            "block_kv": spec.block.kv,
            "groups": outcome.groups,
            "stride_q": spec.stride.q,
            "stride_kv": spec.stride.kv,
            "budget": spec.budget.to_string(),
        },
        "batch": p.batch,
        "heads": p.heads,
        "kv_heads": p.kv_heads,
        "q_tokens": p.q_len,
        "tokens": p.kv_len,
        "why_dense": outcome.why_dense.map(|why| why.to_string()),
        "density": outcome.density,
        "recall": outcome.recall,
        "recall_oracle": outcome.recall_oracle,
        "recall_rows": outcome.mass.rows().len(),
        "needle_recall": outcome.needle_recall,
        "rel_l2": outcome.rel_l2,
        "head_density": outcome.heads.iter().map(|head| head.density).collect::<Vec<_>>(),
        "head_recall": outcome.heads.iter().map(|head| head.recall).collect::<Vec<_>>(),
        "head_recall_oracle": outcome.heads.iter().map(|head| head.recall_oracle).collect::<Vec<_>>(),
        "ms_pool": stage(Stage::Pool),
        "ms_score": stage(Stage::Score),
        "ms_budget": stage(Stage::Budget),
        "ms_select": stage(Stage::Select),
        "ms_attend": stage(Stage::Attend),
        "ms_total": ms(outcome.sparse.total()),
        "ms_dense": ms(outcome.dense.total()),
        "speedup": outcome.speedup(),
        "runs": outcome.sparse.runs,
        "runs_dense": outcome.dense.runs,
    })
}
