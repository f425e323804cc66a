//! From records to the runs of the table and the picture.

use crate::family::Member;
use kit::frontier::{FULL, Frontier, Run};
use smollm2::eval::Summary;

/// What was measured of full attention and of these methods, in their order.
pub(crate) fn frontier(summaries: &[Summary], members: &[Member], subject: String) -> Frontier {
    let mut runs = Vec::new();
    for of_length in summaries.chunk_by(|a, b| a.length == b.length) {
        let full = of_length.iter().find(|summary| summary.is_full());
        runs.extend(full.map(|full| run(full, FULL, None)));
        for Member { line, method } in members {
            let text = method.to_string();
            let summary = of_length.iter().find(|summary| summary.method == text);
            runs.extend(summary.map(|summary| run(summary, line, full)));
        }
    }
    let device = summaries.first().map_or_else(String::new, |summary| summary.device.clone());
    Frontier { subject, device, runs }
}

fn run(summary: &Summary, line: &str, full: Option<&Summary>) -> Run {
    // Beside full attention only what was asked the same.
    let comparable = full.filter(|full| full.comparable(summary));
    let furthest = comparable.and_then(|full| summary.furthest_below(full));
    Run {
        length: summary.length,
        method: line.into(),
        configuration: summary.method.clone(),
        mean: summary.mean,
        furthest_below: furthest.map(|(task, by)| (task.into(), by)),
        density: summary.density,
        attention_ms: 1e3 * summary.times.0,
        questions: summary.asked,
    }
}

/// One table in Markdown for each length, and what is fastest within a hundredth of full attention.
pub(crate) fn tables(frontier: &Frontier) -> String {
    let mut out = String::new();
    for runs in frontier.lengths() {
        let full = runs.iter().find(|run| run.method == FULL);
        out += &format!("\n{} tokens, {}\n\n", runs[0].length, frontier.device);
        out += "| method | configuration | mean | against full | furthest below | density | attention | |\n|---|---|---|---|---|---|---|---|\n";
        runs.iter().for_each(|run| out += &line(run, full));
        let asked = full.or(runs.first()).map_or(0, |run| run.questions);
        for run in runs.iter().filter(|run| run.questions != asked) {
            out += &format!("\n`{}`: {} of {asked} questions\n", run.configuration, run.questions);
        }
        let near = |run: &&Run| run.method != FULL && full.is_some_and(|full| run.mean >= full.mean - 0.01);
        let fastest = runs
            .iter()
            .filter(near)
            .filter(|run| run.questions == asked)
            .min_by(|a, b| a.attention_ms.total_cmp(&b.attention_ms));
        if let Some(fastest) = fastest {
            out += &format!("\nFastest within 0.01 of full attention: `{}`\n", fastest.configuration);
        }
    }
    out
}

fn line(run: &Run, full: Option<&Run>) -> String {
    let against = full.filter(|full| full.questions == run.questions && run.method != FULL);
    let distance = against.map_or_else(|| "–".into(), |full| signed(run.mean - full.mean));
    let faster =
        against.map_or_else(String::new, |full| format!("{:.1}×", full.attention_ms / run.attention_ms));
    let furthest = match &run.furthest_below {
        Some((task, by)) => format!("{} {}", task.replace('_', " "), signed(*by)),
        None => "–".into(),
    };
    format!(
        "| {} | `{}` | **{:.3}** | {distance} | {furthest} | {:.3} | {:.1} ms | {faster} |\n",
        run.method, run.configuration, run.mean, run.density, run.attention_ms
    )
}

/// With the sign in front, the minus of typesetters.
fn signed(number: f64) -> String {
    format!("{number:+.3}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, configuration: &str, mean: f64, attention_ms: f64, questions: usize) -> Run {
        Run {
            length: 4096,
            method: method.into(),
            configuration: configuration.into(),
            mean,
            furthest_below: (method != FULL).then(|| ("multikey_dense".into(), -0.25)),
            density: 0.125,
            attention_ms,
            questions,
        }
    }

    #[test]
    fn the_fastest_is_of_those_that_lose_little_and_were_asked_everything() {
        let runs = vec![
            of(FULL, "full", 0.9, 40.0, 8),
            of("a", "x = 1", 0.895, 10.0, 8),
            of("a", "x = 2", 0.9, 20.0, 8),
            of("b", "y = 1", 0.7, 5.0, 8),
            of("b", "y = 2", 1.0, 1.0, 3),
        ];
        let frontier = Frontier { subject: String::new(), device: "cpu".into(), runs };
        let text = tables(&frontier);
        assert!(text.contains("Fastest within 0.01 of full attention: `x = 1`"), "{text}");
        assert!(
            text.contains(
                "| a | `x = 1` | **0.895** | −0.005 | multikey dense −0.250 | 0.125 | 10.0 ms | 4.0× |"
            ),
            "{text}"
        );
        assert!(text.contains("`y = 2`: 3 of 8 questions"), "{text}");
        assert!(text.contains("| b | `y = 2` | **1.000** | – |"), "{text}");
    }
}
