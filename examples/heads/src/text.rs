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
            "overlap of the top {} far tokens · blocks that the default budget visits · regret of sharing lists of {:.0}% of them",
            options.top,
            100.0 * options.keep
        ));
        line(String::new());
        let titles = first.regrets.iter().map(|regret| format!("{:>26}", proxies(first, regret.groups)));
        line(format!("{:width$}{:>20}{}", "", "far overlap", titles.collect::<String>()));
        let columns = format!("{:>10}{:>8}{:>8}", "visited", "mean", "p95").repeat(first.regrets.len());
        line(format!(
            "{:<width$}{:>11}{:>9}{columns}{:>9}{:>7}",
            "layer", "KV head", "others", "groups", "flat"
        ));
        for layer in self.layers() {
            let costs = layer.visited.iter().zip(&layer.regrets).map(|(visited, regret)| {
                format!("{:>10.3}{:>8.3}{:>8.3}", visited.share, regret.mean, regret.p95)
            });
            let share = |share: Option<f64>| share.map_or("–".into(), |share| format!("{share:.3}"));
            let Agreement { same_group, other_group, .. } = layer.overlap.far;
            line(format!(
                "{:<width$}{:>11}{:>9}{}{:>9}{:>7}",
                layer.name,
                share(same_group),
                share(other_group),
                costs.collect::<String>(),
                layer.groups,
                layer.flat.map_or("none".into(), |groups| groups.to_string()),
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
        let (groups, growth) = (recommendation.groups, 100.0 * options.growth);
        let why = match (groups == first.kv_heads, groups) {
            (true, 1) => String::new(), // there are no others
            (true, _) => format!(": fewer visit over {growth:.0}% more blocks in some layer"),
            (false, _) => format!(", for at most {growth:.0}% more blocks than with one proxy per KV head"),
        };
        line(format!("default budget: {}{why}", choice(first, groups)));
        line(match recommendation.flat {
            Some(groups) => format!(
                "flat budgets: {}, for a regret (p95) within {} in every layer",
                choice(first, groups),
                options.regret
            ),
            None => format!(
                "flat budgets: no choice keeps the regret (p95) of every layer within {}: more blocks (--keep) or a wider \
                 bound (--regret)",
                options.regret
            ),
        });
        line(recommendation.attribute);
        Ok(out)
    }
}

/// The same within a sentence.
fn choice(layer: &Layer, groups: usize) -> String {
    match groups {
        _ if groups == layer.kv_heads => "one proxy per KV head".into(),
        _ => proxies(layer, groups),
    }
}

/// The title of a number of proxies.
fn proxies(layer: &Layer, groups: usize) -> String {
    match groups {
        1 => "one proxy".into(),
        _ if groups == layer.kv_heads => "per KV head".into(),
        _ => format!("{groups} proxies"),
    }
}
