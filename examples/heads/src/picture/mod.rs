//! The picture: for each layer what its heads agree on, what lists hold, and what sharing them costs.

mod bars;
mod curves;
mod overlap;

use crate::{Layer, Recommendation, Report, Result};
use kit::chart::{
    Align, Axis, DrawingBackend, Drawn, Mark, Page, Picture, RGBColor, Sample, Size, Theme, WIDTH,
};

const MARGIN: f64 = 16.0;
/// The title with the legend; the heading of a layer with that of its panels; a panel; what lies below it.
const HEADER: f64 = 140.0;
const HEADING: f64 = 52.0;
const SIDE: f64 = 190.0;
const BELOW: f64 = 60.0;
/// Where the rectangle of each panel starts.
const COLUMNS: [f64; 3] = [58.0, 332.0, 614.0];

/// The orders of a list, in the order of the legend.
#[derive(Clone, Copy)]
enum Order {
    OneProxy,
    KvHead,
    Own,
    Best,
}

impl Order {
    const ALL: [Self; 4] = [Self::OneProxy, Self::KvHead, Self::Own, Self::Best];

    fn name(self) -> &'static str {
        match self {
            Self::OneProxy => "one proxy for all heads",
            Self::KvHead => "one proxy per KV head",
            Self::Own => "each head's own scores",
            Self::Best => "the best order",
        }
    }

    fn colour(self, theme: &Theme) -> RGBColor {
        match self {
            Self::OneProxy => theme.series[1],
            Self::KvHead => theme.series[0],
            Self::Own => theme.ink,
            Self::Best => theme.series[2],
        }
    }

    fn sample(self) -> Sample {
        match self {
            Self::OneProxy => Sample::Line(Mark::Square),
            Self::KvHead => Sample::Line(Mark::Circle),
            Self::Own => Sample::Dashes,
            Self::Best => Sample::Line(Mark::Triangle),
        }
    }
}

/// A report as a picture: a band for each layer, the axes the same in all.
#[derive(Debug)]
pub struct Drawing<'a> {
    report: &'a Report,
    recommendation: Recommendation,
}

impl Report {
    /// A band for each layer: overlap of the top far tokens, head by head; attention inside lists of each length, in four
    /// orders, averaged over heads; what each head loses with one proxy, and with one per KV head.
    ///
    /// # Errors
    /// [`Error::Empty`](crate::Error::Empty) without layers.
    pub fn picture(&self) -> Result<Drawing<'_>> {
        Ok(Drawing { report: self, recommendation: self.recommendation()? })
    }
}

impl Picture for Drawing<'_> {
    fn size(&self) -> [u32; 2] {
        let bands = self.report.layers().len() as f64 * (HEADING + SIDE + BELOW);
        [WIDTH, (HEADER + bands + MARGIN) as u32]
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<'_, B>) -> Drawn<B> {
        let theme = page.theme;
        let (layers, options) = (self.report.layers(), self.report.options());
        let first = &layers[0];
        let subject = format!(
            "{} heads on {} KV heads, {} tokens; for the default budget: {}",
            first.heads, first.kv_heads, first.tokens, self.recommendation.attribute
        );
        page.title("How alike heads are, and what sharing a list of blocks costs", &[&subject])?;
        let orders = Order::ALL.map(|order| (order.sample(), order.colour(theme), order.name()));
        page.legend([MARGIN, 62.0], f64::from(WIDTH) - 2.0 * MARGIN, &orders)?;

        overlap::SCALE.draw(page, [MARGIN, 90.0], 160.0, &[(0.0, "0%"), (0.5, "50%"), (1.0, "100%")])?;

        let curves = curves::axes(layers);
        let lost = bars::axis(layers);
        for (i, layer) in layers.iter().enumerate() {
            let y = HEADER + i as f64 * (HEADING + SIDE + BELOW);
            page.text([MARGIN, y], Align::Left, Size::Heading, theme.ink, &band(layer))?;
            let titles = [
                format!("In common of the top {} far tokens", options.top),
                "Attention that a list holds".into(),
                format!("Attention lost at {:.0}% of the blocks", 100.0 * options.keep),
            ];
            for (x, title) in COLUMNS.into_iter().zip(&titles) {
                page.text([x, y + 26.0], Align::Left, Size::Text, theme.ink, title)?;
            }
            let top = y + HEADING - 12.0;
            overlap::draw(page, [COLUMNS[0], top], layer)?;
            curves::draw(page, [COLUMNS[1], top], &curves, layer)?;
            bars::draw(page, [COLUMNS[2], top], &lost, layer)?;
        }
        Ok(())
    }
}

/// The heading of a layer.
fn band(layer: &Layer) -> String {
    let share = |share: f64| format!("{:.1}%", 100.0 * share);
    let finest = layer.visited.len() - 1;
    format!(
        "{}: the default budget visits {} of the blocks with one proxy per KV head, {} with one",
        layer.name,
        share(layer.visited[finest].share),
        share(layer.visited[0].share)
    )
}

/// Ticks in the middle of some of the heads, no more than fit.
fn heads(count: usize) -> Axis {
    let every = count.div_ceil(9);
    let middle = (0..count).step_by(every).map(|head| head as f64 + 0.5);
    Axis::linear("head", 0.0..count as f64)
        .ticks(middle, |middle| format!("{middle:.0}", middle = middle - 0.5))
}
