//! The report for people.

use crate::{Agreement, Layer, Report, Result};
use std::fmt::Write as _;

impl Report {
    /// A table of the layers and what it recommends, as lines of text.
    ///
    /// # Errors
    /// [`Error::Empty`](crate::Error::Empty) without layers.
    pub fn text(&self) -> Result<String> {
        let recommendation = self.recommendation()?;
        let (first, options) = (&self.layers()[0], self.options());
        let width = self.layers().iter().map(|layer| layer.name.chars().count()).max().unwrap_or(0).max(10);
        let mut out = String::new();
        let mut line = |text: String| {
            writeln!(out, "{}", format!("  {text}").trim_end()).expect("a String takes any text")
        };

        line(format!("{} heads on {} KV heads · head_dim {}", first.heads, first.kv_heads, first.head_dim));
        line(format!(
            "overlap of the top {} far tokens · regret of sharing lists of {:.0}% of the blocks",
            options.top,
            100.0 * options.keep
        ));
        line(String::new());
        let titles = first.regrets.iter().map(|regret| format!("{:>17}", proxies(first, regret.groups)));
        line(format!("{:width$}{:>20}{}", "", "far overlap", titles.collect::<String>()));
        let columns = format!("{:>9}{:>8}", "mean", "p95").repeat(first.regrets.len());
        line(format!("{:<width$}{:>11}{:>9}{columns}{:>9}", "layer", "KV head", "others", "groups"));
        for layer in self.layers() {
            let regrets =
                layer.regrets.iter().map(|regret| format!("{:>9.3}{:>8.3}", regret.mean, regret.p95));
            let share = |share: Option<f64>| share.map_or("–".into(), |share| format!("{share:.3}"));
            let Agreement { same_group, other_group, .. } = layer.overlap.far;
            line(format!(
                "{:<width$}{:>11}{:>9}{}{:>9}",
                layer.name,
                share(same_group),
                share(other_group),
                regrets.collect::<String>(),
                if layer.within { layer.groups.to_string() } else { "none".into() },
            ));
        }
        line(String::new());
        for layer in self.layers().iter().filter(|layer| !layer.specialists.is_empty()) {
            let heads: Vec<String> = layer
                .specialists
                .iter()
                .map(|specialist| format!("{} ({:.3})", specialist.head, specialist.regret))
                .collect();
            line(format!("specialists of {}: head {}", layer.name, heads.join(", ")));
        }
        if !recommendation.within {
            line(format!(
                "No choice keeps the regret (p95) of every layer within {}: more blocks (--keep) or a wider bound (--regret).",
                options.regret
            ));
        }
        line(recommendation.attribute);
        Ok(out)
    }
}

fn proxies(layer: &Layer, groups: usize) -> String {
    match groups {
        1 => "one proxy".into(),
        _ if groups == layer.kv_heads => "per KV head".into(),
        _ => format!("{groups} proxies"),
    }
}
