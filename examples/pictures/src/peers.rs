//! One attention layer against FlashAttention-3, with the time that choosing blocks takes.

use crate::{Result, json, text};
use kit::chart::{Align, Axis, Drawn, Page, Picture, Sample, Size, WIDTH};
use plotters::prelude::DrawingBackend;
use serde::Deserialize;
use std::path::Path;

/// A row of what `benches/peers/attend.py --json` writes.
#[derive(Debug, Deserialize)]
struct Record {
    what: String,
    tokens: usize,
    ms: f64,
    density: Option<f64>,
    ratio: Option<f64>,
}

/// The peer.
const PEER: &str = "FlashAttention-3";
/// Pipelines that are shown: the defaults, with a fixed share of the mass.
const PIPELINES: [&str; 2] = ["Measured7", "Measured5"];

#[derive(Debug)]
struct Bar {
    name: String,
    /// Milliseconds, all in all and before attention starts.
    ms: f64,
    before: f64,
    /// How many times as fast as the peer, measured in turns with it; none for itself.
    times: Option<f64>,
}

/// A panel of bars for each length.
#[derive(Debug)]
pub(crate) struct Peers {
    panels: Vec<(usize, Vec<Bar>)>,
}

/// Reads the times.
pub(crate) fn read(path: &Path) -> Result<Peers> {
    peers(&json::<Vec<Record>>(path)?)
}

fn peers(records: &[Record]) -> Result<Peers> {
    let mut lengths: Vec<usize> = records.iter().map(|record| record.tokens).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let panel = |&tokens: &usize| -> Result<(usize, Vec<Bar>)> {
        let find = |is: &dyn Fn(&str) -> bool, what: &str| {
            let found = records.iter().find(|record| record.tokens == tokens && is(&record.what));
            found.ok_or_else(|| format!("no row `{what}` at {tokens} tokens"))
        };
        let exactly = |what: &str| find(&|given| given == what, what);
        let dense = exactly("proxyattn dense")?;
        let peer = exactly(PEER)?.ms;
        let mut bars = vec![
            Bar { name: format!("{PEER}, dense"), ms: peer, before: 0.0, times: None },
            Bar { name: "proxyattn, dense".into(), ms: dense.ms, before: 0.0, times: dense.ratio },
        ];
        for pipeline in PIPELINES {
            let whole = |given: &str| {
                given
                    .strip_prefix(pipeline)
                    .is_some_and(|rest| rest.starts_with(',') && rest.ends_with("whole call"))
            };
            let whole = find(&whole, pipeline)?;
            let before = exactly(&format!("{pipeline}: before attend"))?.ms;
            let share = whole.density.ok_or_else(|| format!("row `{}` has no density", whole.what))?;
            let name = format!("proxyattn, {:.1}% of the blocks", 100.0 * share);
            bars.push(Bar { name, ms: whole.ms, before, times: whole.ratio });
        }
        Ok((tokens, bars))
    };
    Ok(Peers { panels: lengths.iter().map(panel).collect::<Result<_>>()? })
}

const HEADER: f64 = 66.0;
const BAR: f64 = 20.0;
const PITCH: f64 = 28.0;
const NAMES: f64 = 214.0;
const HEADING: f64 = 24.0;
const AXIS: f64 = 48.0;

impl Peers {
    /// The height of a panel with its heading and axis.
    fn height(bars: &[Bar]) -> f64 {
        HEADING + PITCH * bars.len() as f64 + AXIS + 18.0
    }
}

impl Picture for Peers {
    fn size(&self) -> [u32; 2] {
        let panels: f64 = self.panels.iter().map(|panel| Self::height(&panel.1)).sum();
        [WIDTH, (HEADER + panels) as u32 + 30]
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<'_, B>) -> Drawn<B> {
        let theme = page.theme;
        page.title(
            "Time of one attention layer: choosing blocks, then attending to them",
            &["One H200, 32 query heads on 8 KV heads, 128 dims, bf16, causal; shorter is better"],
        )?;
        let mut y = HEADER;
        for (tokens, bars) in &self.panels {
            let heading = format!("{} tokens", text::tokens(*tokens as f64));
            page.text([16.0, y + 8.0], Align::Left, Size::Heading, theme.ink, &heading)?;
            let most = bars.iter().map(|bar| bar.ms).fold(0.0, f64::max);
            let ten = 10f64.powf(most.log10().floor());
            let step = if most > 4.0 * ten { 2.0 * ten } else { ten / 2.0 };
            let ticks = (0..).map(|tick| f64::from(tick) * step).take_while(|tick| *tick <= most);
            let count = bars.len() as f64;
            let x = Axis::linear("milliseconds", 0.0..1.24 * most).ticks(ticks, |ms| ms.to_string());
            let names = Axis::linear("", count..0.0);
            let size = [f64::from(WIDTH) - NAMES - 24.0, PITCH * count];
            let mut plot = page.plot([NAMES, y + HEADING], size, x, names)?;
            for (place, bar) in bars.iter().enumerate() {
                let middle = place as f64 + 0.5;
                let half = BAR / PITCH / 2.0;
                let own = if place < 2 { theme.series[6] } else { theme.series[0] };
                plot.fill([bar.before, middle - half], [bar.ms, middle + half], own)?;
                if bar.before > 0.0 {
                    plot.fill([0.0, middle - half], [bar.before, middle + half], theme.series[4])?;
                }
                let times = bar
                    .times
                    .map_or_else(String::new, |times| format!(", {}× as fast", text::figures(times)));
                let label = format!("{} ms{times}", text::figures(bar.ms));
                plot.text([bar.ms, middle], [8.0, 0.0], Align::Left, theme.ink, &label)?;
                let at = [NAMES - 8.0, y + HEADING + PITCH * middle];
                page.text(at, Align::Right, Size::Text, theme.ink, &bar.name)?;
            }
            y += Self::height(bars);
        }
        let entries = [
            (Sample::Fill, theme.series[6], "dense attention"),
            (Sample::Fill, theme.series[4], "choosing blocks"),
            (Sample::Fill, theme.series[0], "attention to the chosen blocks"),
        ];
        page.legend([NAMES + 4.0, y], f64::from(WIDTH) - NAMES, &entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(what: &str, ms: f64, density: Option<f64>) -> Record {
        Record { what: what.into(), tokens: 4096, ms, density, ratio: Some(2.0) }
    }

    #[test]
    fn every_bar_has_its_rows() {
        let mut records = vec![record("FlashAttention-3", 8.0, None), record("proxyattn dense", 7.0, None)];
        for pipeline in PIPELINES {
            records.push(record(&format!("{pipeline}, 5.1%: whole call"), 2.0, Some(0.051)));
            records.push(record(&format!("{pipeline}: before attend"), 1.0, None));
        }
        let bars = peers(&records).unwrap().panels.remove(0).1;
        let names: Vec<_> = bars.iter().map(|bar| bar.name.as_str()).collect();
        assert_eq!(names[2..], ["proxyattn, 5.1% of the blocks"; 2]);
        assert!(bars[2..].iter().all(|bar| bar.before == 1.0 && bar.times == Some(2.0)));
        records.pop();
        let error = peers(&records).unwrap_err().to_string();
        assert_eq!(error, "no row `Measured5: before attend` at 4096 tokens");
    }
}
