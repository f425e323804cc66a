//! What records come to: a mean for each task, and over the tasks.

use super::{Record, TASKS};

/// What the records of a method at a length come to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// As the command line spells it.
    pub method: String,
    /// Tokens of the contexts.
    pub length: usize,
    /// Mean score of the questions of each task; none where no question was asked.
    pub tasks: [Option<f64>; TASKS.len()],
    /// Mean of the tasks that were asked.
    pub mean: f64,
    /// Visited over visible tiles, of all layers and contexts.
    pub density: f64,
    /// Mean over layers, and the least of a layer.
    pub recall: Option<(f64, f64)>,
    /// Seconds to read a context: attention, and the rest; the median context's.
    pub times: (f64, f64),
    /// What it ran on.
    pub device: String,
    /// Questions that were asked.
    pub asked: usize,
    /// Questions of the contexts that were read.
    pub all: usize,
}

impl Summary {
    /// One for each method and length, in the order of the records.
    pub fn all(records: &[Record]) -> Vec<Self> {
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
    pub fn is_full(&self) -> bool {
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
    pub fn comparable(&self, other: &Self) -> bool {
        self.tasks.iter().zip(&other.tasks).all(|(a, b)| a.is_some() == b.is_some())
    }

    /// The task that lies furthest below `other`, and by how much its score is another one.
    pub fn furthest_below(&self, other: &Self) -> Option<(&'static str, f64)> {
        let distance = |i: usize| Some((TASKS[i], self.tasks[i]? - other.tasks[i]?));
        (0..TASKS.len()).filter_map(distance).min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The task with the lowest score, and the score.
    pub fn worst(&self) -> Option<(&'static str, f64)> {
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
