//! Answers against what they cost: a panel for each length of context, a mark for each method.

use super::axes::Axis;
use super::legend::{Sample, legend_height};
use super::page::{Align, Drawn, Mark, Page};
use super::theme::{Size, Theme};
use super::{Picture, WIDTH};
use plotters::prelude::{DrawingBackend, RGBColor};

/// The marks of the methods, in the order of the colours of a theme.
const MARKS: [Mark; 7] =
    [Mark::Circle, Mark::Diamond, Mark::Triangle, Mark::Square, Mark::Wedge, Mark::Ring, Mark::Cross];
const MARGIN: f64 = 16.0;
/// The title, and a panel with its axes.
const HEADER: f64 = 66.0;
const PANEL: f64 = 250.0;
/// What the axes take: left of the first panel, between two, and below.
const AXIS: f64 = 74.0;
const APART: f64 = 16.0;
const BELOW: f64 = 74.0;
/// The width of the legend.
const LEGEND: f64 = WIDTH as f64 - 2.0 * MARGIN;

/// What every method scores, and at what cost.
#[derive(Debug)]
pub struct Answers {
    /// The title of the picture.
    pub title: String,
    /// What was measured.
    pub subject: String,
    /// The cost, the same axis in every panel.
    pub cost: Axis,
    /// The methods, of which the first matters most.
    pub methods: Vec<String>,
    /// One for each length, from left to right.
    pub panels: Vec<Panel>,
    /// Whether the marks of a method are joined, from the cheapest on.
    pub joined: bool,
}

/// One length of context.
#[derive(Debug)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// The score of full attention, if it was measured.
    pub full: Option<f64>,
    /// What full attention costs, where it is to be seen.
    pub full_cost: Option<f64>,
    /// The methods that were measured.
    pub points: Vec<Point>,
}

/// One method at one length.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Its place among the methods.
    pub method: usize,
    /// What it costs.
    pub cost: f64,
    /// The share of answers that are right.
    pub score: f64,
    /// The standard error of its distance from full attention, if that is known.
    pub error: Option<f64>,
}

impl Answers {
    fn names(&self) -> Vec<&str> {
        let methods = self.methods.iter().map(String::as_str);
        let with_errors =
            self.panels.iter().flat_map(|panel| &panel.points).any(|point| point.error.is_some());
        let bar = with_errors.then_some("bar: standard error of the distance");
        std::iter::once("full attention").chain(methods).chain(bar).collect()
    }

    /// Scores, the same in all panels: whole hundredths around everything.
    fn scores(&self) -> Axis {
        let points = self.panels.iter().flat_map(|panel| &panel.points).map(|point| point.score);
        let scores = || self.panels.iter().filter_map(|panel| panel.full).chain(points.clone());
        let least = scores().fold(1.0, f64::min);
        let most = scores().fold(0.0, f64::max);
        let step = if most - least > 0.2 { 0.05 } else { 0.02 };
        let low = ((least - step / 3.0) / step).floor() as i32;
        let high = ((most + step / 3.0) / step).ceil().min(1.0 / step) as i32;
        let value = |line: i32| f64::from(line) * step;
        Axis::linear("answers right, mean of the tasks", value(low)..value(high))
            .ticks((low..=high).map(value), |score| format!("{score:.2}"))
    }
}

/// The colour and the mark of a method.
fn look(theme: &Theme, method: usize) -> (RGBColor, Mark) {
    let colours = theme.series.len();
    // Where colours come again, marks are others.
    (theme.series[method % colours], MARKS[(method + method / colours) % MARKS.len()])
}

impl Picture for Answers {
    fn size(&self) -> [u32; 2] {
        [WIDTH, (HEADER + PANEL + BELOW + legend_height(self.names(), LEGEND) + 14.0) as u32]
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<'_, B>) -> Drawn<B> {
        let theme = page.theme;
        page.title(&self.title, &[&self.subject])?;
        let count = self.panels.len() as f64;
        let width = (f64::from(WIDTH) - AXIS - MARGIN + APART) / count - APART;
        for (i, panel) in self.panels.iter().enumerate() {
            let x = AXIS + i as f64 * (width + APART);
            let scores = if i == 0 { self.scores() } else { self.scores().without_text() };
            let mut plot = page.plot([x, HEADER + 22.0], [width, PANEL], self.cost.clone(), scores)?;
            page.text([x, HEADER + 8.0], Align::Left, Size::Heading, theme.ink, &panel.title)?;
            let [first, last] = self.cost.ends();
            if let Some(full) = panel.full {
                plot.dashed(&[[first, full], [last, full]], 2.0, theme.ink)?;
                plot.text(
                    [last, full],
                    [-2.0, -9.0],
                    Align::Right,
                    theme.ink,
                    &format!("full attention {full:.3}"),
                )?;
            }
            if let (Some(full), Some(cost)) = (panel.full, panel.full_cost) {
                plot.mark([cost, full], Mark::Square, 10.0, theme.ink)?;
            }
            if self.joined {
                for method in (0..self.methods.len()).rev() {
                    let of_method = panel.points.iter().filter(|point| point.method == method);
                    let mut line: Vec<_> = of_method.map(|point| [point.cost, point.score]).collect();
                    line.sort_by(|a, b| a[0].total_cmp(&b[0]));
                    plot.line(&line, if method == 0 { 2.5 } else { 1.5 }, look(theme, method).0)?;
                }
            }
            // The first method is drawn last, over the others.
            for point in panel.points.iter().rev() {
                let (colour, mark) = look(theme, point.method);
                let at = [point.cost, point.score];
                if let Some(error) = point.error {
                    plot.line(&[[at[0], at[1] - error], [at[0], at[1] + error]], 1.5, colour)?;
                }
                plot.mark(at, mark, if point.method == 0 { 13.0 } else { 10.0 }, colour)?;
            }
        }
        let mut entries = vec![(Sample::Dashes, theme.ink)];
        entries.extend((0..self.methods.len()).map(|method| {
            let (colour, mark) = look(theme, method);
            (if self.joined { Sample::Line(mark) } else { Sample::Mark(mark) }, colour)
        }));
        entries.push((Sample::Bar, theme.quiet));
        let entries: Vec<_> = entries
            .into_iter()
            .zip(self.names())
            .map(|((sample, colour), name)| (sample, colour, name))
            .collect();
        page.legend([MARGIN, HEADER + PANEL + BELOW], LEGEND, &entries)
    }
}
