//! Accuracy against density: how much of full attention's answers a share of its tiles gives.

use kit::chart::{Answers, Axis, Panel, Point};
use smollm2::eval::Summary;

/// One panel for each length, left to right; a mark for each method. None without a sparse method.
pub(crate) fn draw(summaries: &[Summary]) -> Option<Answers> {
    let mut methods: Vec<String> = Vec::new();
    for summary in summaries.iter().filter(|summary| !summary.is_full()) {
        if !methods.contains(&summary.method) {
            methods.push(summary.method.clone());
        }
    }
    let sparse = summaries.iter().filter(|summary| !summary.is_full());
    let most = sparse.fold(0.0, |most: f64, summary| most.max(summary.density));
    // Whole ticks, and air around the marks.
    let step = if most > 0.4 { 0.2 } else { 0.1 };
    let last = ((most + 0.02) / step).ceil();
    let ticks = (0..last as u32).map(|tick| f64::from(tick) * step);
    let cost = Axis::linear("tiles visited", 0.0..last * step)
        .ticks(ticks, |share| format!("{:.0}%", 100.0 * share));
    let device = &summaries.first()?.device;
    (!methods.is_empty()).then(|| Answers {
        title: "Right answers against the share of attention that is computed".into(),
        subject: format!("SmolLM2-135M, mean of the tasks, {device}"),
        cost,
        panels: summaries
            .chunk_by(|a, b| a.length == b.length)
            .map(|panel| of_length(panel, &methods))
            .collect(),
        methods,
        joined: false,
    })
}

fn of_length(summaries: &[Summary], methods: &[String]) -> Panel {
    let full = summaries.iter().find(|summary| summary.is_full());
    // Beside full attention only what was asked the same.
    let shown = summaries.iter().filter(|summary| full.is_none_or(|full| full.comparable(summary)));
    let point = |summary: &Summary| {
        let method = methods.iter().position(|method| *method == summary.method)?;
        Some(Point { method, cost: summary.density, score: summary.mean, error: None })
    };
    Panel {
        title: format!("{} tokens", summaries[0].length),
        full: full.map(|full| full.mean),
        full_cost: None,
        points: shown.filter_map(point).collect(),
    }
}
