//! The table: a line for each method, a column for each task.

use crate::records::Record;
use smollm2::eval::TASKS;

/// What the records of a method at a length come to.
pub(crate) struct Summary {
    pub(crate) method: String,
    pub(crate) length: usize,
    /// Mean score of the questions of each task; none where no question was asked.
    pub(crate) tasks: [Option<f64>; TASKS.len()],
    /// Mean of the tasks that were asked.
    pub(crate) mean: f64,
    pub(crate) density: f64,
    /// Mean over layers, and the least of a layer.
    pub(crate) recall: Option<(f64, f64)>,
    /// Seconds to read a context: attention, and the rest; the median context's.
    pub(crate) times: (f64, f64),
    pub(crate) device: String,
    asked: usize,
    all: usize,
}

impl Summary {
    /// One for each method and length, in the order of the records.
    pub(crate) fn all(records: &[Record]) -> Vec<Self> {
        let mut keys: Vec<(&str, usize)> = Vec::new();
        for record in records {
            let key = (&*record.method, record.length);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys.sort_by_key(|&(_, length)| length);
        let of = |&(method, length): &(&str, usize)| {
            let records = records.iter().filter(|r| r.method == method && r.length == length);
            Self::of(method, length, &records.collect::<Vec<_>>())
        };
        keys.iter().map(of).collect()
    }

    /// Whether this is what the others are compared with.
    pub(crate) fn is_full(&self) -> bool {
        self.method == "full"
    }

    fn of(method: &str, length: usize, records: &[&Record]) -> Self {
        let tasks = TASKS.map(|task| {
            let scores =
                records.iter().filter(|record| record.task == task).flat_map(|record| &record.scores);
            mean(scores.copied())
        });
        let sum = |of: fn(&Record) -> u64| records.iter().map(|record| of(record)).sum::<u64>() as f64;
        let recall = records.iter().find(|record| !record.recall.is_empty()).map(|record| {
            let least = record.recall.iter().copied().fold(f64::INFINITY, f64::min);
            (mean(record.recall.iter().copied()).unwrap_or(f64::NAN), least)
        });
        Self {
            method: method.to_owned(),
            length,
            tasks,
            mean: mean(tasks.into_iter().flatten()).unwrap_or(f64::NAN),
            density: sum(|record| record.visited) / sum(|record| record.visible),
            recall,
            times: median(records.iter().map(|record| (record.attention, record.rest)).collect()),
            device: records.first().map_or_else(String::new, |record| record.device.clone()),
            asked: records.iter().map(|record| record.scores.len()).sum(),
            all: records.iter().map(|record| record.questions).sum(),
        }
    }

    /// Whether the same tasks were asked: else the means are two different things.
    pub(crate) fn comparable(&self, other: &Self) -> bool {
        self.tasks.iter().zip(&other.tasks).all(|(a, b)| a.is_some() == b.is_some())
    }

    /// The task with the lowest score, and the score.
    fn worst(&self) -> Option<(&'static str, f64)> {
        let scores = TASKS.into_iter().zip(self.tasks).filter_map(|(task, score)| Some((task, score?)));
        scores.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// The one with the median sum.
fn median(mut times: Vec<(f64, f64)>) -> (f64, f64) {
    times.sort_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1)));
    times.get(times.len() / 2).copied().unwrap_or((f64::NAN, f64::NAN))
}

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

    fn record(method: &str, task: &str, scores: &[f64], visited: u64) -> Record {
        Record {
            method: method.into(),
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
