//! Two axes with titles, ticks and a grid, and what is drawn between them.

use super::page::{Align, Drawn, Mark, Page};
use super::theme::Size;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

/// Above and right of a plot.
const TOP: f64 = 8.0;
const RIGHT: f64 = 10.0;

/// What an axis shows.
#[derive(Clone, Debug)]
pub struct Axis {
    title: String,
    range: Range<f64>,
    is_log: bool,
    is_silent: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Values from one to another, evenly.
    pub fn linear(title: impl Into<String>, range: Range<f64>) -> Self {
        Self { title: title.into(), range, is_log: false, is_silent: false, ticks: Vec::new() }
    }

    /// Positive values from one to another, equal ratios equally far apart.
    pub fn log(title: impl Into<String>, range: Range<f64>) -> Self {
        Self { is_log: true, ..Self::linear(title, range) }
    }

    /// With ticks, each with its text.
    #[must_use]
    pub fn ticks(mut self, values: impl IntoIterator<Item = f64>, text: impl Fn(f64) -> String) -> Self {
        self.ticks = values.into_iter().map(|value| (value, text(value))).collect();
        self
    }

    /// The same without words: the grid stays.
    #[must_use]
    pub fn without_text(self) -> Self {
        Self { title: String::new(), is_silent: true, ..self }
    }

    /// From the last value to the first.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { range: self.range.end..self.range.start, ..self }
    }

    /// Its first and its last value.
    pub fn ends(&self) -> [f64; 2] {
        [self.range.start, self.range.end]
    }

    /// The room that it takes at the left of a plot.
    fn left(&self) -> f64 {
        let title = if self.title.is_empty() { 0.0 } else { 22.0 };
        let widest = self.ticks.iter().map(|tick| Size::Small.width(&tick.1)).fold(0.0, f64::max);
        title + if self.has_text() { widest + 10.0 } else { 4.0 }
    }

    /// The room that it takes below a plot.
    fn below(&self) -> f64 {
        let title = if self.title.is_empty() { 0.0 } else { 18.0 };
        title + if self.has_text() { 22.0 } else { 4.0 }
    }

    fn has_text(&self) -> bool {
        !self.ticks.is_empty() && !self.is_silent
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let at = |value: f64| if self.is_log { value.ln() } else { value };
        let [first, last] = self.ends().map(at);
        let share = (at(*value) - first) / (last - first);
        from + (share * f64::from(to - from)).round() as i32
    }

    /// The lines of the grid: the ticks, whatever is asked for.
    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.iter().map(|tick| tick.0).collect(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(_: &f64) -> String {
        String::new()
    }

    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.0 == *value).filter(|_| !self.is_silent);
        tick.map_or_else(String::new, |tick| tick.1.clone())
    }
}

/// The rectangle between two axes.
pub struct Plot<'a, B: DrawingBackend> {
    page: Page<'a, B>,
    chart: ChartContext<'a, B, Cartesian2d<Axis, Axis>>,
}

impl<'a, B: DrawingBackend> Page<'a, B> {
    /// Draws two axes around the rectangle of a size whose upper left corner is given, with their titles and ticks left of it
    /// and below.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn plot(
        &self,
        [x0, y0]: [f64; 2],
        [width, height]: [f64; 2],
        x: Axis,
        y: Axis,
    ) -> Result<Plot<'a, B>, DrawingAreaErrorKind<B::ErrorType>> {
        let (theme, [left, below]) = (self.theme, [y.left(), x.below()]);
        let page = self.part([x0 - left, y0 - TOP], [left + width + RIGHT, TOP + height + below]);
        let titles = [x.title.clone(), y.title.clone()];
        let mut chart = ChartBuilder::on(&page.area)
            .margin_top(self.length(TOP))
            .margin_right(self.length(RIGHT))
            .set_label_area_size(LabelAreaPosition::Left, self.length(left))
            .set_label_area_size(LabelAreaPosition::Bottom, self.length(below))
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(titles[0].as_str())
            .y_desc(titles[1].as_str())
            .axis_desc_style(self.style(Size::Text, theme.ink))
            .label_style(self.style(Size::Small, theme.quiet))
            .bold_line_style(theme.grid.stroke_width(self.length(1.0) as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(theme.quiet.stroke_width(self.length(1.0) as u32))
            .set_all_tick_mark_size(self.length(4.0))
            .draw()?;
        Ok(Plot { page, chart })
    }
}

impl<B: DrawingBackend> Plot<'_, B> {
    /// Where a point lies, in pixels of the plot and its axes.
    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        let (x, y) = self.chart.backend_coord(&point.into());
        let (left, top) = self.page.area.get_base_pixel();
        [x - left, y - top].map(|at| f64::from(at) / f64::from(self.page.length(1.0)))
    }

    /// Joins points by a line.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn line(&mut self, points: &[[f64; 2]], width: f64, colour: RGBColor) -> Drawn<B> {
        let points: Vec<_> = points.iter().map(|&point| <(f64, f64)>::from(point)).collect();
        let style = colour.stroke_width(self.page.length(width) as u32);
        self.chart.draw_series(LineSeries::new(points, style)).map(|_| ())
    }

    /// Joins points by dashes.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn dashed(&mut self, points: &[[f64; 2]], width: f64, colour: RGBColor) -> Drawn<B> {
        let points: Vec<_> = points.iter().map(|&point| <(f64, f64)>::from(point)).collect();
        let [dash, gap] = [6.0, 4.0].map(|length| self.page.length(length));
        let style = colour.stroke_width(self.page.length(width) as u32);
        self.chart.draw_series(DashedLineSeries::new(points, dash, gap, style)).map(|_| ())
    }

    /// Fills the rectangle between two corners.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn fill(&mut self, from: [f64; 2], to: [f64; 2], colour: RGBColor) -> Drawn<B> {
        let bar = Rectangle::new([from.into(), to.into()], colour.filled());
        self.chart.draw_series([bar]).map(|_| ())
    }

    /// Draws a mark around a point.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn mark(&self, point: [f64; 2], mark: Mark, size: f64, colour: RGBColor) -> Drawn<B> {
        self.page.mark(self.place(point), mark, size, colour)
    }

    /// Writes a text so many pixels beside a point.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn text(
        &self,
        point: [f64; 2],
        [right, down]: [f64; 2],
        align: Align,
        colour: RGBColor,
        text: &str,
    ) -> Drawn<B> {
        let [x, y] = self.place(point);
        self.page.text([x + right, y + down], align, Size::Small, colour, text)
    }
}
