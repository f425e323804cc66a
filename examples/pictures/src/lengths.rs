//! Time against the length of the prompt.

use crate::{Result, json, text};
use kit::chart::{Align, Axis, Drawn, Mark, Page, Picture, Sample, WIDTH, legend_height};
use plotters::prelude::DrawingBackend;
use serde::Deserialize;
use std::path::Path;

/// One median.
#[derive(Debug, Deserialize)]
struct Record {
    tokens: f64,
    what: String,
    ms: f64,
}

/// What is known of a curve: its name in the data and in the legend, its colour in the theme, its mark.
const CURVES: [(&str, &str, usize, Mark); 4] = [
    ("FlashAttention-3", "FlashAttention-3, dense", 6, Mark::Square),
    ("dense", "proxyattn, dense", 5, Mark::Wedge),
    ("a tenth", "proxyattn, a tenth of the blocks", 1, Mark::Triangle),
    ("a twentieth", "proxyattn, a twentieth of the blocks", 0, Mark::Circle),
];

/// The curves.
#[derive(Debug)]
pub(crate) struct Lengths {
    curves: Vec<Curve>,
}

#[derive(Debug)]
struct Curve {
    name: String,
    colour: usize,
    mark: Mark,
    /// (tokens, ms), the shortest first.
    points: Vec<[f64; 2]>,
}

/// Reads the times.
pub(crate) fn read(path: &Path) -> Result<Lengths> {
    lengths(json(path)?)
}

fn lengths(mut records: Vec<Record>) -> Result<Lengths> {
    if records.is_empty() {
        return Err("expected times, found an empty list".into());
    }
    records.sort_by(|a, b| a.tokens.total_cmp(&b.tokens));
    let mut whats: Vec<&str> = CURVES.map(|curve| curve.0).into();
    for record in &records {
        if !whats.contains(&record.what.as_str()) {
            whats.push(&record.what);
        }
    }
    let curve = |what: &str| {
        let of: Vec<_> = records.iter().filter(|record| record.what == what).collect();
        let known = CURVES.iter().find(|curve| curve.0 == what);
        let &(_, name, colour, mark) = known.unwrap_or(&("", what, 2, Mark::Diamond));
        Curve {
            name: name.into(),
            colour,
            mark,
            points: of.iter().map(|record| [record.tokens, record.ms]).collect(),
        }
    };
    let curves = whats.into_iter().map(curve).filter(|curve| !curve.points.is_empty()).collect();
    Ok(Lengths { curves })
}

/// Times of at least this ratio, as a logarithm, have room for their texts.
const APART: f64 = 0.45;
const HEADER: f64 = 62.0;
const PLOT: f64 = 350.0;
const LEGEND: f64 = WIDTH as f64 - 48.0;

/// Milliseconds as a text.
fn milliseconds(ms: f64) -> String {
    match ms < 1000.0 {
        true => format!("{} ms", text::figures(ms)),
        false => format!("{} s", text::figures(ms / 1000.0)),
    }
}

impl Lengths {
    fn points(&self) -> impl Iterator<Item = [f64; 2]> {
        self.curves.iter().flat_map(|curve| curve.points.iter().copied())
    }

    fn axes(&self) -> [Axis; 2] {
        let span = |axis: usize| {
            let values = || self.points().map(move |point| point[axis]);
            [values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max)]
        };
        let ([shortest, longest], [least, most]) = (span(0), span(1));
        let lengths =
            (0..40).map(|power| f64::from(power).exp2()).filter(|n| (shortest..=longest).contains(n));
        let tokens =
            Axis::log("tokens of the prompt", shortest / 1.25..longest * 2.5).ticks(lengths, text::tokens);
        let tens = (-6..9).map(|power| 10f64.powi(power));
        let low = least / 1.6;
        let high = most * 1.6;
        let time = Axis::log("time of one attention layer", low..high).ticks(
            tens.filter(|ten| (low..=high).contains(ten)),
            |ms| {
                if ms < 1000.0 { format!("{ms} ms") } else { format!("{} s", ms / 1000.0) }
            },
        );
        [tokens, time]
    }
}

impl Picture for Lengths {
    fn size(&self) -> [u32; 2] {
        let names = self.curves.iter().map(|curve| curve.name.as_str());
        [WIDTH, (HEADER + PLOT + 56.0 + legend_height(names, LEGEND) + 14.0) as u32]
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<'_, B>) -> Drawn<B> {
        let theme = page.theme;
        page.title(
            "Time of attention against the length of the prompt",
            &["One H200, 32 query heads on 8 KV heads, 128 dims, bf16, causal; every stage counted; at least 512 tokens kept"],
        )?;
        let width = f64::from(WIDTH);
        let [tokens, time] = self.axes();
        let mut plot = page.plot([88.0, HEADER + 8.0], [width - 106.0, PLOT], tokens, time)?;
        for curve in &self.curves {
            let colour = theme.series[curve.colour];
            plot.line(&curve.points, 2.0, colour)?;
            for &point in &curve.points {
                plot.mark(point, curve.mark, 9.0, colour)?;
            }
        }
        // The time of the longest, and how much faster than the first curve it is, but where the text would lie on another.
        let mut written: Vec<f64> = Vec::new();
        for curve in &self.curves {
            let Some(&last) = curve.points.last() else { continue };
            let label = match self.curves[0].points.iter().find(|point| point[0] == last[0]) {
                Some(first) if first[1] != last[1] => {
                    format!("{}, {}×", milliseconds(last[1]), text::figures(first[1] / last[1]))
                }
                _ => milliseconds(last[1]),
            };
            if written.iter().all(|other: &f64| (other / last[1]).ln().abs() > APART) {
                plot.text(last, [9.0, 0.0], Align::Left, theme.series[curve.colour], &label)?;
                written.push(last[1]);
            }
        }
        let entry = |curve| {
            let Curve { name, colour, mark, .. }: &Curve = curve;
            (Sample::Line(*mark), theme.series[*colour], name.as_str())
        };
        let entries: Vec<_> = self.curves.iter().map(entry).collect();
        page.legend([24.0, HEADER + PLOT + 56.0], LEGEND, &entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::chart::{LIGHT, svg};

    /// Made up: times that grow with the square of the length.
    fn made_up() -> Vec<Record> {
        let of = |what: &str, factor: f64| {
            let record = move |power: i32| {
                let tokens = f64::from(1 << power);
                Record { tokens, what: what.into(), ms: factor * (tokens / 8192.0).powi(2) + 0.02 }
            };
            (10..20).rev().map(record).collect::<Vec<_>>()
        };
        let curves = [of("a tenth", 0.1), of("FlashAttention-3", 0.8), of("another", 0.4)];
        curves.into_iter().flatten().collect()
    }

    #[test]
    fn curves_have_their_names_and_every_length() {
        let lengths = lengths(made_up()).unwrap();
        let names: Vec<_> = lengths.curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["FlashAttention-3, dense", "proxyattn, a tenth of the blocks", "another"]);
        assert!(lengths.curves.iter().all(|curve| curve.points.len() == 10));
        assert!(lengths.curves[0].points.windows(2).all(|pair| pair[0][0] < pair[1][0]));
        let text = svg(&lengths, &LIGHT).unwrap();
        for word in ["1K", "512K", "tokens of the prompt", "time of one attention layer", "another"] {
            assert!(text.contains(&format!("\n{word}\n")), "{word}");
        }
    }

    #[test]
    fn no_times_are_no_picture() {
        assert!(super::lengths(Vec::new()).is_err());
    }
}
