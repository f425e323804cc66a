//! What answers are right in what time: a line for each method, a mark for each of its densities.

use crate::chart::{Answers, Axis, Panel, Point};
use serde::{Deserialize, Serialize};

/// The name of full attention among the methods.
pub const FULL: &str = "full attention";

/// Every method at every density and length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frontier {
    /// What was asked, for the picture.
    pub subject: String,
    /// What it ran on.
    pub device: String,
    /// The measurements, by length, and then by method in the order of the legend.
    pub runs: Vec<Run>,
}

/// A method at one density and length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Tokens of the contexts.
    pub length: usize,
    /// The name of the method's line.
    pub method: String,
    /// The arguments of `#[proxy_attention(…)]`; `full` for full attention.
    pub configuration: String,
    /// Share of items right: the mean of the tasks.
    pub mean: f64,
    /// The task that lies furthest below full attention; none where full attention was asked other tasks.
    pub furthest_below: Option<(String, f64)>,
    /// Visited over visible tiles.
    pub density: f64,
    /// Attention of one context, with all stages, over all layers, in milliseconds.
    pub attention_ms: f64,
    /// Questions that were asked.
    pub questions: usize,
}

impl Frontier {
    /// The runs of each length, in their order.
    pub fn lengths(&self) -> impl Iterator<Item = &[Run]> {
        self.runs.chunk_by(|a, b| a.length == b.length)
    }

    /// A panel for each length: answers against the time of attention. None without a sparse method.
    pub fn picture(&self) -> Option<Answers> {
        let mut methods: Vec<String> = Vec::new();
        for run in self.runs.iter().filter(|run| run.method != FULL) {
            if !methods.contains(&run.method) {
                methods.push(run.method.clone());
            }
        }
        let times = self.runs.iter().map(|run| run.attention_ms);
        let [least, most] = [times.clone().fold(f64::INFINITY, f64::min), times.fold(0.0, f64::max)];
        let (first, last) = (least / 1.3, most * 1.3);
        let ticks = (-6..=6).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)));
        let cost = Axis::log("attention of one context, ms", first..last)
            .ticks(ticks.filter(|tick| (first..last).contains(tick)), |ms| format!("{ms}"));
        (!methods.is_empty()).then(|| Answers {
            title: "Right answers against the time of attention".into(),
            subject: format!("{}; {}", self.subject, self.device),
            cost,
            panels: self.lengths().map(|runs| panel(runs, &methods)).collect(),
            methods,
            joined: true,
        })
    }
}

fn panel(runs: &[Run], methods: &[String]) -> Panel {
    let full = runs.iter().find(|run| run.method == FULL);
    let point = |run: &Run| {
        let method = methods.iter().position(|method| *method == run.method)?;
        Some(Point { method, cost: run.attention_ms, score: run.mean, error: None })
    };
    Panel {
        title: format!("{} tokens", runs[0].length),
        full: full.map(|full| full.mean),
        full_cost: full.map(|full| full.attention_ms),
        points: runs.iter().filter_map(point).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{LIGHT, svg};

    #[test]
    fn lines_are_methods_and_panels_are_lengths() {
        let run = |length, method: &str, mean, attention_ms| Run {
            length,
            method: method.into(),
            configuration: String::new(),
            mean,
            furthest_below: None,
            density: 0.1,
            attention_ms,
            questions: 3,
        };
        let runs = vec![
            run(4096, FULL, 0.9, 30.0),
            run(4096, "a", 0.8, 12.0),
            run(4096, "a", 0.7, 6.0),
            run(8192, "b", 0.5, 9.0),
        ];
        let frontier = Frontier { subject: "questions".into(), device: "cpu".into(), runs };
        let answers = frontier.picture().expect("two sparse methods");
        assert_eq!(answers.methods, ["a", "b"]);
        let [short, long] = &answers.panels[..] else { panic!("{answers:?}") };
        assert_eq!((short.full, short.full_cost, short.points.len()), (Some(0.9), Some(30.0), 2));
        assert_eq!((long.full, long.points[0].method), (None, 1));
        let text = svg(&answers, &LIGHT).expect("a picture");
        assert!(text.contains("4096 tokens") && text.contains("questions; cpu"), "{text}");
        let dense = Frontier { runs: frontier.runs[..1].to_vec(), ..frontier };
        assert!(dense.picture().is_none());
    }
}
