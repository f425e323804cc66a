//! Answers against time: what a model gets right, and how much faster its attention is.

use crate::{Result, json, text};
use kit::chart::{Answers, Axis, Panel, Point};
use serde::Deserialize;
use std::path::Path;

/// The mean score of one evaluation set.
#[derive(Debug, Deserialize)]
struct Record {
    length: usize,
    method: String,
    seed: u64,
    mean: f64,
    density: f64,
}

/// The time of attention in one prefill: all layers, every stage.
#[derive(Debug, Deserialize)]
struct Time {
    length: usize,
    method: String,
    attention_ms: f64,
}

const FULL: &str = "full";
/// The methods that are shown, and what they are called.
const METHODS: [(&str, &str); 7] = [
    (
        "scorer = proxy(sums = maxima, scores = e4m3), budget = dynamic(gamma = 0.6, min_tokens = 512, rows = ratio, order = list, weigh = values)",
        "the default (gamma = 0.6)",
    ),
    (
        "scorer = proxy(sums = maxima, scores = e4m3), budget = dynamic(gamma = 0.7, min_tokens = 512, rows = ratio, order = list, weigh = values)",
        "gamma = 0.7",
    ),
    (
        "stride(q = 2, kv = 1), scorer = proxy(sums = maxima, scores = e4m3), budget = dynamic(gamma = 0.6, min_tokens = 512, rows = ratio, order = list, weigh = values)",
        "stride(q = 2, kv = 1)",
    ),
    (
        "scorer = proxy(sums = maxima, scores = e4m3), budget = dynamic(gamma = 0.5, min_tokens = 512, rows = ratio, order = list, weigh = values)",
        "gamma = 0.5",
    ),
    (
        "scorer = proxy(sums = maxima, scores = e4m3), budget = ratio(0.1, split = heads, min_tokens = 512)",
        "ratio(0.1, split = heads)",
    ),
    ("scorer = proxy(sums = maxima, scores = e4m3), budget = ratio(0.1)", "ratio(0.1)"),
    ("preset = paper", "preset = paper"),
];

/// Reads the scores, and the times where they were measured; without times, answers stand against density.
pub(crate) fn read(scores: &Path, times: &Path) -> Result<Answers> {
    let times: Option<Vec<Time>> = if times.exists() { Some(json(times)?) } else { None };
    draw(&json::<Vec<Record>>(scores)?, times.as_deref())
}

fn draw(records: &[Record], times: Option<&[Time]>) -> Result<Answers> {
    let mut lengths: Vec<usize> = records.iter().map(|record| record.length).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let panels = lengths.iter().map(|&length| panel(records, times, length)).collect::<Result<Vec<_>>>()?;
    let costs = || panels.iter().flat_map(|panel| &panel.points).map(|point| point.cost);
    let cost = match times {
        Some(_) => {
            let most = costs().fold(1.0, f64::max);
            let step = if most > 7.0 { 2 } else { 1 };
            let ticks = std::iter::once(1).chain((2..=most.ceil() as u32).step_by(step));
            Axis::linear("times as fast as full attention", 0.8..most.ceil() + 0.6)
                .ticks(ticks.map(f64::from), |times| format!("{times}×"))
        }
        None => Axis::log("tiles visited", 0.04..0.6)
            .ticks([0.05, 0.1, 0.2, 0.5], |share| format!("{:.0}%", 100.0 * share)),
    };
    Ok(Answers {
        title: match times {
            Some(_) => "Right answers against the speed of attention".into(),
            None => "Right answers against the share of attention that is computed".into(),
        },
        subject: "SmolLM2-135M with adapters for 32K tokens; eight retrieval tasks, 950 questions for each mark; one H200".into(),
        cost,
        methods: METHODS.iter().map(|method| method.1.into()).collect(),
        panels,
        joined: false,
    })
}

fn panel(records: &[Record], times: Option<&[Time]>, length: usize) -> Result<Panel> {
    let of = |method: &str| -> Vec<&Record> {
        records.iter().filter(|record| record.length == length && record.method == method).collect()
    };
    let mean = |records: &[&Record], value: fn(&Record) -> f64| {
        records.iter().map(|record| value(record)).sum::<f64>() / records.len() as f64
    };
    let full = of(FULL);
    if full.is_empty() {
        return Err(format!("no record of method `{FULL}` at {length} tokens").into());
    }
    let time = |method: &str| {
        let of = |time: &&Time| time.length == length && time.method == method;
        times.and_then(|times| times.iter().find(of)).map(|time| time.attention_ms)
    };
    let point = |(place, &(method, _)): (usize, &(&str, &str))| {
        let sets = of(method);
        let cost = match times {
            None => mean(&sets, |record| record.density),
            Some(_) => time(FULL)? / time(method)?,
        };
        (!sets.is_empty()).then(|| Point {
            method: place,
            cost,
            score: mean(&sets, |record| record.mean),
            error: error(&sets, &full),
        })
    };
    Ok(Panel {
        title: format!("{} tokens", text::tokens(length as f64)),
        full: Some(mean(&full, |record| record.mean)),
        full_cost: None,
        points: METHODS.iter().enumerate().filter_map(point).collect(),
    })
}

/// The standard error of the mean distance from full attention over the evaluation sets that both were asked.
fn error(sets: &[&Record], full: &[&Record]) -> Option<f64> {
    let distance = |record: &&Record| {
        let same = full.iter().find(|full| full.seed == record.seed)?;
        Some(record.mean - same.mean)
    };
    let distances: Vec<f64> = sets.iter().filter_map(distance).collect();
    let count = distances.len() as f64;
    let mean = distances.iter().sum::<f64>() / count;
    let squares: f64 = distances.iter().map(|distance| (distance - mean).powi(2)).sum();
    (distances.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let record = |method: &str, seed, mean, density| Record {
            length: 8192,
            method: method.into(),
            seed,
            mean,
            density,
        };
        let [(default, _), ..] = METHODS;
        vec![
            record(FULL, 1, 0.9, 1.0),
            record(FULL, 2, 0.8, 1.0),
            record(default, 1, 0.88, 0.1),
            record(default, 2, 0.76, 0.3),
        ]
    }

    #[test]
    fn a_mark_is_the_mean_of_the_sets() {
        let answers = draw(&records(), None).unwrap();
        let [panel] = &answers.panels[..] else { panic!("{answers:?}") };
        assert!((panel.full.unwrap() - 0.85).abs() < 1e-12);
        let [point] = panel.points[..] else { panic!("{panel:?}") };
        assert!((point.score - 0.82).abs() < 1e-12 && (point.cost - 0.2).abs() < 1e-12, "{point:?}");
        // Distances of −0.02 and −0.04: their standard deviation is 0.01·√2, over √2 sets.
        assert!((point.error.unwrap() - 0.01).abs() < 1e-12);
    }

    #[test]
    fn with_times_the_cost_is_how_much_faster_it_is() {
        let time = |method: &str, attention_ms| Time { length: 8192, method: method.into(), attention_ms };
        let times = [time(FULL, 12.0), time(METHODS[0].0, 3.0)];
        let answers = draw(&records(), Some(&times)).unwrap();
        assert_eq!(answers.panels[0].points[0].cost, 4.0);
        let unmeasured = draw(&records(), Some(&times[..1])).unwrap();
        assert!(unmeasured.panels[0].points.is_empty(), "a method without a time has no place");
        assert!(draw(&records()[2..], None).is_err(), "nothing to compare with");
    }
}
