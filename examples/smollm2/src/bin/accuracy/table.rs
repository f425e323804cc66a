//! The table: a line for each method, a column for each task.

use smollm2::eval::{Summary, TASKS};

/// One table in Markdown for each length.
pub(crate) fn tables(summaries: &[Summary]) -> String {
    let mut out = String::new();
    for of_length in summaries.chunk_by(|a, b| a.length == b.length) {
        let full = of_length.iter().find(|summary| summary.is_full());
        let length = of_length[0].length;
        out += &format!(
            "\n{length} tokens, {}\n\n| | {} | **mean** | of full | worst | density | recall | attention + rest |\n",
            of_length[0].device,
            TASKS.join(" | ").replace('_', " ")
        );
        out += &format!("|---{}\n", "|---".repeat(TASKS.len() + 6) + "|");
        for summary in of_length {
            out += &line(summary, full);
        }
        for summary in of_length.iter().filter(|summary| summary.asked < summary.all) {
            out += &format!("\n`{}`: {} of {} questions asked\n", summary.method, summary.asked, summary.all);
        }
    }
    out
}

fn line(summary: &Summary, full: Option<&Summary>) -> String {
    let score = |score: Option<f64>| score.map_or_else(|| "–".into(), |score| format!("{score:.3}"));
    let tasks = summary.tasks.map(score).join(" | ");
    let ratio = full.filter(|full| full.comparable(summary)).map(|full| summary.mean / full.mean);
    let worst = summary
        .worst()
        .map_or_else(|| "–".into(), |(task, score)| format!("{} {score:.3}", task.replace('_', " ")));
    let recall =
        summary.recall.map_or_else(|| "–".into(), |(mean, least)| format!("{mean:.3} (≥ {least:.3})"));
    let (attention, rest) = summary.times;
    format!(
        "| {} | {tasks} | **{:.3}** | {} | {worst} | {:.3} | {recall} | {} + {} |\n",
        match &*summary.method {
            "full" => "full attention".into(),
            method => format!("`{method}`"),
        },
        summary.mean,
        score(ratio),
        summary.density,
        seconds(attention),
        seconds(rest)
    )
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.1} ms", 1e3 * s),
        s => format!("{s:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smollm2::eval::Record;

    fn record(method: &str, task: &str, scores: &[f64], visited: u64) -> Record {
        Record {
            method: method.into(),
            set: String::new(),
            length: 4096,
            task: task.into(),
            context: 0,
            questions: 2,
            scores: scores.to_vec(),
            visited,
            visible: 100,
            recall: if method == "full" { Vec::new() } else { vec![0.5, 0.9] },
            attention: 1.0,
            rest: 0.25,
            device: "cpu".into(),
        }
    }

    #[test]
    fn tasks_weigh_alike_and_what_is_missing_is_said() {
        let records = [
            record("full", "single", &[1.0, 1.0], 100),
            record("full", "copy", &[0.5, 1.0], 100),
            record("default", "single", &[1.0, 0.5], 20),
            record("default", "copy", &[0.5, 0.5], 30),
            record("groups = 1", "single", &[1.0], 10),
        ];
        let summaries = Summary::all(&records);
        let means: Vec<_> = summaries.iter().map(|summary| summary.mean).collect();
        assert_eq!(means, [0.875, 0.625, 1.0]);
        assert_eq!(summaries[1].density, 0.25);
        assert_eq!(summaries[1].worst(), Some(("copy", 0.5)));
        let text = tables(&summaries);
        assert!(text.contains("4096 tokens, cpu"), "{text}");
        assert!(text.contains("| `default` | 0.750 | – |"), "{text}");
        assert!(
            text.contains("**0.625** | 0.714 | copy 0.500 | 0.250 | 0.700 (≥ 0.500) | 1.0 s + 250.0 ms |"),
            "{text}"
        );
        // Other tasks than full attention was asked: no ratio.
        assert!(text.contains("**1.000** | – | single 1.000 |"), "{text}");
        assert!(text.contains("`groups = 1`: 1 of 2 questions asked"), "{text}");
    }
}
