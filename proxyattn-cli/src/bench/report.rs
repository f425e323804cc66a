//! The results, as a table and as JSON.

use super::dense_pairs;
use crate::style::{FAINT, painted};
use crate::table::Table;
use crate::text::{count, ms, tokens};
use crate::tune::{DEFAULT, constants_of, record_of};
use crate::width::Width;
use proxyattn_runtime::tune::Choice;
use proxyattn_runtime::{Device, Plan, Stage, StageTimes};
use serde_json::{Value, json};
use std::time::Duration;

/// What was measured.
pub(super) struct Measured {
    pub(super) plan: Plan,
    /// Context length in tokens below which `prefill` runs dense on the device.
    pub(super) dense_below: usize,
    pub(super) device: Device,
    /// The tuning records that were applied.
    pub(super) tiles: Vec<Choice>,
    pub(super) runs: usize,
    /// Visited blocks of keys / visible ones.
    pub(super) density: f64,
    pub(super) times: StageTimes,
    pub(super) dense: StageTimes,
}

impl Measured {
    /// TFLOP/s of attend over the visited blocks: two products of `head_dim` per query-key pair.
    fn attend_rate(&self) -> f64 {
        let (spec, problem) = (self.plan.spec(), self.plan.problem());
        let pairs = match self.plan.is_dense() {
            true => dense_pairs(spec, problem),
            false => {
                let blocks = self.plan.geometry().visible_tiles() as f64 * self.density;
                let heads = (problem.batch * problem.heads) as f64;
                blocks * heads * f64::from(spec.block.q) * f64::from(spec.block.kv)
            }
        };
        self.rate(pairs, self.times.of(Stage::Attend))
    }

    fn dense_rate(&self) -> f64 {
        self.rate(dense_pairs(self.plan.spec(), self.plan.problem()), self.dense.total())
    }

    fn rate(&self, pairs: f64, time: Duration) -> f64 {
        4.0 * f64::from(self.plan.spec().head_dim) * pairs / time.as_secs_f64() / 1e12
    }

    /// The plan of `prefill`, which runs short contexts dense; the benchmark measures the stages regardless.
    fn prefill_plan(&self) -> Plan {
        self.plan.dense_below(self.dense_below)
    }

    fn speedup(&self) -> f64 {
        self.dense.total().as_secs_f64() / self.times.total().as_secs_f64()
    }
}

/// For people.
pub(super) fn text(measured: &Measured) -> String {
    let (problem, total) = (measured.plan.problem(), measured.times.total());
    let dense = measured.dense.total();
    let mut table = Table::new(&["stage", "ms", "share", "TFLOP/s"], &[]);
    // Dense attention has no stages.
    if !measured.plan.is_dense() {
        for &stage in Stage::ALL {
            let time = measured.times.of(stage);
            let share = 100.0 * time.as_secs_f64() / total.as_secs_f64();
            let rate = (stage == Stage::Attend).then(|| format!("{:.3}", measured.attend_rate()));
            table.row([
                stage.to_string(),
                format!("{:.3}", ms(time)),
                format!("{share:.1}%"),
                rate.unwrap_or_default(),
            ]);
        }
        table.row(["all".into(), format!("{:.3}", ms(total))]);
    }
    let rate = format!("{:.3}", measured.dense_rate());
    table.row(["dense".into(), format!("{:.3}", ms(dense)), String::new(), rate]);
    let width = Width::stdout();
    let head = format!(
        "{}\n{} × {}, {} on {}; {}\n{}\n",
        measured.device,
        problem.batch,
        tokens(problem),
        count(problem.heads, "head"),
        count(problem.kv_heads, "KV head"),
        painted(FAINT, format!("median of {} after one warm-up; generated inputs", measured.runs)),
        tiles(measured),
    );
    let result = format!("  {}\n", result(measured));
    format!("{}{}\n{}", width.fit(&head, 2), table.print(width.columns()), width.fit(&result, 2))
}

/// What came out, in a sentence or two.
fn result(measured: &Measured) -> String {
    if let Some(why) = measured.plan.why_dense() {
        return format!("ran dense: {why}");
    }
    let (total, dense) = (ms(measured.times.total()), ms(measured.dense.total()));
    // Both times with the digits that the shorter one needs.
    let digits = if total.min(dense) < 10.0 { 2 } else { 0 };
    let sparse = format!(
        "{:.1}× as fast as dense ({dense:.digits$} → {total:.digits$} ms); {:.0}% of the blocks",
        measured.speedup(),
        100.0 * measured.density,
    );
    match measured.prefill_plan().why_dense() {
        Some(why) => format!("{sparse}\n  Only measured: `prefill` runs dense here, because {why}"),
        None => sparse,
    }
}

/// The tiles in use; empty on the CPU, which has none to choose.
fn tiles(measured: &Measured) -> String {
    if measured.device == Device::Cpu {
        return String::new();
    }
    let line = |choice: &Choice| {
        format!(
            "tiles of {}: {} (record of {})\n",
            choice.unit,
            constants_of(&choice.constants),
            record_of(choice)
        )
    };
    match &measured.tiles[..] {
        [] => format!("tiles: {DEFAULT}; `proxyattn tune` measures others\n"),
        some => some.iter().map(line).collect(),
    }
}

/// For programs.
pub(super) fn json(measured: &Measured) -> Value {
    let (spec, problem) = (measured.plan.spec(), measured.plan.problem());
    let stages: serde_json::Map<_, _> =
        Stage::ALL.iter().map(|&stage| (stage.to_string(), ms(measured.times.of(stage)).into())).collect();
    json!({
        "device": measured.device.to_string(),
        "configuration": spec.attribute(),
        "batch": problem.batch,
        "heads": problem.heads,
        "kv_heads": problem.kv_heads,
        "q_tokens": problem.q_len,
        "tokens": problem.kv_len,
        "head_dim": spec.head_dim,
        "dtype": spec.dtype.as_str(),
        "runs": measured.runs,
        "tiles": measured.tiles,
        "dense_plan": measured.plan.is_dense(),
        "dense_below": measured.dense_below,
        "prefill_dense": measured.prefill_plan().is_dense(),
        "density": measured.density,
        "stages_ms": stages,
        "ms": ms(measured.times.total()),
        "dense_ms": ms(measured.dense.total()),
        "speedup": measured.speedup(),
        "attend_tflops": measured.attend_rate(),
        "dense_tflops": measured.dense_rate(),
    })
}
