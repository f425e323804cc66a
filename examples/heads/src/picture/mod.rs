//! The picture: for each layer what its heads agree on, what lists hold, and what sharing them costs.

mod bars;
mod chart;
mod heat;

use crate::{Layer, Report, Result, Visited};
use image::RgbImage;
use kit::{
    canvas::{BRIGHT, Canvas, Colour, DIM, PAGE, PLAIN},
    font,
};

const MARGIN: u32 = 36;
/// Title, and the lines above and below the panels of a layer.
const HEADER: u32 = 112;
const TITLE: u32 = 64;
const AXIS: u32 = 44;
/// Side of the heat map, and sizes of the two charts.
const SIDE: u32 = 320;
const CURVES: [u32; 2] = [400, SIDE];
const BARS: [u32; 2] = [360, SIDE];
/// Between panels, for the labels of the axis at the left.
const APART: u32 = 84;
/// Between layers.
const BETWEEN: u32 = 28;

/// A band with what lies between it and the next.
const BAND: [u32; 2] =
    [MARGIN + APART / 2 + SIDE + APART + CURVES[0] + APART + BARS[0], TITLE + SIDE + AXIS + BETWEEN];
/// Up to so many layers stand in one column, and up to the second in two.
const FEW: [usize; 2] = [4, 12];

/// The orders of a curve: best, own, proxy of the KV head, one proxy.
const BEST: Colour = DIM;
const OWN: Colour = [250, 164, 60];
const KV_HEAD: Colour = [62, 196, 180];
const SHARED: Colour = [226, 92, 124];

impl Report {
    /// The size of [`picture`](Self::picture) for some layers, as width and height in pixels.
    pub fn picture_size(layers: usize) -> [u32; 2] {
        let columns = columns(layers);
        let [width, height] = [columns, layers.div_ceil(columns)].map(|count| count as u32);
        [width * BAND[0] + MARGIN, MARGIN + HEADER + height * BAND[1]]
    }

    /// A band for each layer, down the columns: overlap of the top far tokens, head by head; attention mass inside lists of each length,
    /// in four orders, averaged over heads; regret of each head with one proxy, and with one per KV head. Above it, the share
    /// of the blocks that the default budget visits with either.
    ///
    /// # Errors
    /// [`Error::Empty`](crate::Error::Empty) without layers.
    pub fn picture(&self) -> Result<RgbImage> {
        let recommendation = self.recommendation()?;
        let mut canvas = Canvas::new(Self::picture_size(self.layers().len()), PAGE);
        let first = &self.layers()[0];
        font::write(&mut canvas, [MARGIN, MARGIN], 3, BRIGHT, &recommendation.attribute);
        let subject = format!(
            "{} heads on {} KV heads · default budget: at most {:.0}% more blocks than with one proxy per KV head",
            first.heads,
            first.kv_heads,
            100.0 * self.options().growth
        );
        font::write(&mut canvas, [MARGIN, MARGIN + 36], 2, PLAIN, &subject);
        let middle = "in the middle: attention inside a list, over its share of the blocks, for four orders of the list";
        font::write(&mut canvas, [MARGIN, MARGIN + 62], 2, DIM, middle);
        for (i, layer) in self.layers().iter().enumerate() {
            let lines = self.layers().len().div_ceil(columns(self.layers().len()));
            let [column, line] = [i / lines, i % lines].map(|place| place as u32);
            self.band(&mut canvas, [column * BAND[0] + MARGIN, MARGIN + HEADER + line * BAND[1]], layer);
        }
        Ok(canvas.into_image())
    }

    fn band(&self, canvas: &mut Canvas, [x, y]: [u32; 2], layer: &Layer) {
        let visited = |visited: &Visited| format!("{:.1}%", 100.0 * visited.share);
        let finest = layer.visited.len() - 1;
        let (groups, colour) = match layer.groups == layer.kv_heads {
            true => ("needs one proxy per KV head".into(), KV_HEAD),
            false => (format!("groups = {}", layer.groups), SHARED),
        };
        let end = font::write_from(canvas, [x, y], 2, BRIGHT, &format!("{} · ", layer.name));
        let end = font::write_from(canvas, [end, y], 2, colour, &groups);
        let shares = format!(
            " · visits {} of the blocks per KV head, {} with one proxy",
            visited(&layer.visited[finest]),
            visited(&layer.visited[0])
        );
        font::write(canvas, [end, y], 2, PLAIN, &shares);

        let (above, top) = (y + TITLE - 28, y + TITLE);
        let x = x + APART / 2;
        font::write(
            canvas,
            [x, above],
            2,
            PLAIN,
            &format!("top {} far tokens in common, %", self.options().top),
        );
        heat::draw(canvas, [x, top], SIDE, &layer.overlap.far.pairs, layer.heads / layer.kv_heads);

        let x = x + SIDE + APART;
        let mut word = x;
        let curves = &layer.curves;
        let lines = [
            ("best", BEST, &curves.best),
            ("own", OWN, &curves.own),
            ("per KV head", KV_HEAD, &curves.kv_head),
            ("one proxy", SHARED, &curves.shared),
        ];
        for (name, colour, _) in lines {
            word = font::write_from(canvas, [word, above], 2, colour, name) + 16;
        }
        let lines = lines.map(|(_, colour, heads)| (colour, chart::average(heads)));
        chart::draw(canvas, [x, top], CURVES, &curves.shares, &lines, self.options().keep);

        let x = x + CURVES[0] + APART;
        let (one, finest) = (&layer.regrets[0], &layer.regrets[layer.regrets.len() - 1]);
        font::write(
            canvas,
            [x, above],
            2,
            PLAIN,
            &format!("mean regret at {:.0}%, by head", 100.0 * self.options().keep),
        );
        bars::draw(canvas, [x, top], BARS, [(&one.heads, SHARED), (&finest.heads, KV_HEAD)]);
    }
}

fn columns(layers: usize) -> usize {
    1 + FEW.iter().filter(|&&few| layers > few).count()
}
