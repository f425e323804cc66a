//! `tune --check`: interleaved launches of recorded and default tiles.

use super::Watch;
use super::report::{constants_of, shown};
use crate::failure::{DONE, FAILED, Failure, Outcome, Report, UNSOUND};
use crate::style::{ERROR, FAINT, GOOD, painted};
use crate::table::Table;
use crate::width::Width;
use proxyattn_codegen::Spec;
use proxyattn_runtime::tune::{Choice, Remeasured, Source};
use proxyattn_runtime::{Attention, Device, Element, Problem};
use serde_json::json;

/// The fraction by which recorded tiles may be slower.
const SLOWER: f64 = 0.02;

pub(super) fn run<T: Element>(
    kernel: &Attention<T>,
    spec: &Spec,
    problems: &[Problem],
    device: &Device,
    as_json: bool,
) -> Outcome {
    let mut choices: Vec<(&Problem, Choice)> = Vec::new();
    for problem in problems {
        let of = kernel.choices(&kernel.plan(problem)?);
        if of.is_empty() {
            let why = kernel.tuned().refused.into_iter().map(|why| format!("\n  {why}")).collect::<String>();
            let message = format!(
                "no tuning record applies to {} tokens: run `proxyattn tune '{}'` without --check first{why}",
                problem.kv_len,
                spec.attribute()
            );
            return Err(Failure { message, code: FAILED });
        }
        choices.extend(of.into_iter().map(|choice| (problem, choice)));
    }
    let mut watch = Watch::new();
    let measured = kernel.remeasure(problems, &mut |progress| watch.show(progress))?;
    drop(watch);
    let slower = measured.iter().filter(|again| again.ratio() > 1.0 + SLOWER).count();
    let text = match as_json {
        true => json(spec, device, &measured, slower),
        false => text(spec, device, &choices, &measured, slower),
    };
    Ok(Report { text, code: if slower == 0 { DONE } else { UNSOUND } })
}

fn text(
    spec: &Spec,
    device: &Device,
    choices: &[(&Problem, Choice)],
    measured: &[Remeasured],
    slower: usize,
) -> String {
    let head = ["unit", "tokens", "record", "default ms", "tuned ms", "ratio", "constants"];
    let mut table = Table::new(&head, &[2, 6]);
    for (problem, choice) in choices {
        let again = measured.iter().find(|again| again.problem == **problem && again.choice == *choice);
        let number = |of: &dyn Fn(&Remeasured) -> String| again.map_or("–".into(), of);
        table.row([
            choice.unit.to_string(),
            problem.kv_len.to_string(),
            record_of(choice),
            number(&|again| format!("{:.4}", again.default_ms)),
            number(&|again| format!("{:.4}", again.tuned_ms)),
            number(&|again| format!("{:.3}", again.ratio())),
            constants_of(&choice.constants),
        ]);
    }
    let verdict = match slower {
        0 => format!("{} no recorded tiles are", painted(GOOD, "passed:")),
        1 => format!("{} the tiles of 1 record are", painted(ERROR, "slower:")),
        n => format!("{} the tiles of {n} records are", painted(ERROR, "slower:")),
    };
    let help = match slower {
        0 => String::new(),
        _ => format!("; `proxyattn tune '{}'` replaces the records", spec.attribute()),
    };
    let width = Width::stdout();
    let head = painted(FAINT, format!("{}; medians of interleaved launches", shown(spec)));
    let verdict = format!("{verdict} more than {:.0}% slower than the default ones{help}\n", 100.0 * SLOWER);
    let head = width.fit(&format!("{device}\n{head}\n"), 2);
    format!("{head}\n{}\n{}", table.print(width.columns()), width.fit(&verdict, 2))
}

/// The bucket that a record was measured for, and whether it is a shipped one.
pub(crate) fn record_of(choice: &Choice) -> String {
    let origin = if choice.source == Source::Shipped { ", shipped" } else { "" };
    format!("{}{origin}", choice.bucket)
}

fn json(spec: &Spec, device: &Device, measured: &[Remeasured], slower: usize) -> String {
    let each = measured.iter().map(|again| {
        let mut value = json!(again);
        value["ratio"] = again.ratio().into();
        value
    });
    let value = json!({
        "configuration": spec.attribute(),
        "device": device.to_string(),
        "allowed": 1.0 + SLOWER,
        "slower": slower,
        "remeasured": each.collect::<Vec<_>>(),
    });
    format!("{value}\n")
}
