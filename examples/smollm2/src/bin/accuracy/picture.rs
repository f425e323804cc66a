//! Accuracy against density: how much of full attention's answers a share of its tiles gives.

use crate::table::Summary;
use image::RgbImage;
use kit::canvas::{BRIGHT, Canvas, Colour, DIM, GROUND, PAGE, PLAIN, mix};
use kit::font;

const SIZE: [u32; 2] = [560, 360];
const MARGIN: u32 = 40;
const AXIS: u32 = 64;
const HEADER: u32 = 124;
const FOOTER: u32 = 56;
/// The line of a method in the legend.
const LINE: u32 = 24;
const COLOURS: [Colour; 6] =
    [[250, 164, 60], [96, 190, 255], [120, 220, 150], [236, 110, 160], [190, 150, 250], [240, 230, 120]];

/// One panel for each length, left to right; a point for each method. None without a sparse method.
pub(crate) fn draw(summaries: &[Summary]) -> Option<RgbImage> {
    let mut methods: Vec<&str> = Vec::new();
    for summary in summaries.iter().filter(|summary| !summary.is_full()) {
        if !methods.contains(&&*summary.method) {
            methods.push(&summary.method);
        }
    }
    let panels: Vec<&[Summary]> = summaries.chunk_by(|a, b| a.length == b.length).collect();
    if methods.is_empty() {
        return None;
    }
    let scale = Scale::of(summaries);
    let width = MARGIN + panels.len() as u32 * (AXIS + SIZE[0] + MARGIN);
    let height = HEADER + SIZE[1] + FOOTER + LINE * (methods.len() as u32 + 1) + MARGIN;
    let mut canvas = Canvas::new([width, height], PAGE);
    let title = "Answers right against tiles visited";
    font::write(&mut canvas, [MARGIN, MARGIN], 3, BRIGHT, title);
    for (i, panel) in panels.iter().enumerate() {
        let corner = [MARGIN + AXIS + i as u32 * (AXIS + SIZE[0] + MARGIN), HEADER];
        draw_panel(&mut canvas, corner, scale, panel, &methods);
    }
    let mut y = HEADER + SIZE[1] + FOOTER;
    for (i, method) in methods.iter().enumerate() {
        mark(&mut canvas, [MARGIN as f32 + 7.0, y as f32 + 7.0], colour(i));
        font::write(&mut canvas, [MARGIN + 28, y], 2, PLAIN, method);
        y += LINE;
    }
    font::write(&mut canvas, [MARGIN, y], 2, DIM, "line: full attention · mean of the tasks");
    Some(canvas.into_image())
}

fn colour(method: usize) -> Colour {
    COLOURS[method % COLOURS.len()]
}

/// What the axes span, the same in all panels.
#[derive(Clone, Copy)]
struct Scale {
    /// The lowest accuracy; 1 is the highest.
    low: f64,
    /// The highest density; 0 is the lowest.
    most: f64,
}

impl Scale {
    fn of(summaries: &[Summary]) -> Self {
        let low = summaries.iter().fold(0.9, |low: f64, summary| low.min(summary.mean));
        let sparse = summaries.iter().filter(|summary| !summary.is_full());
        let most = sparse.fold(0.0, |most: f64, summary| most.max(summary.density));
        // Whole ticks, and air around the points.
        Self { low: ((low - 0.01) * 20.0).floor() / 20.0, most: ((most + 0.02) * 20.0).ceil() / 20.0 }
    }

    fn at(self, [x, y]: [u32; 2], density: f64, accuracy: f64) -> [f32; 2] {
        let (right, up) = (density / self.most, (accuracy - self.low) / (1.0 - self.low));
        [x as f32 + right as f32 * SIZE[0] as f32, y as f32 + (1.0 - up) as f32 * SIZE[1] as f32]
    }
}

fn draw_panel(canvas: &mut Canvas, corner: [u32; 2], scale: Scale, panel: &[Summary], methods: &[&str]) {
    let [x, y] = corner;
    canvas.fill(corner, SIZE, GROUND);
    let faint = mix(GROUND, DIM, 0.3);
    let ticks = |from: f64, to: f64| {
        (0..).map(move |i| from + 0.05 * f64::from(i)).take_while(move |t| *t < to + 1e-9)
    };
    for accuracy in ticks(scale.low, 1.0) {
        let from = scale.at(corner, 0.0, accuracy);
        canvas.line(from, scale.at(corner, scale.most, accuracy), 1.0, faint);
        let text = format!("{accuracy:.2}");
        font::write(
            canvas,
            [x - 8 - font::width(&text, 2), (from[1] as u32).saturating_sub(7)],
            2,
            DIM,
            &text,
        );
    }
    for density in ticks(0.0, scale.most) {
        let text = format!("{:.0}%", 100.0 * density);
        let center = scale.at(corner, density, scale.low)[0] as u32;
        font::write(canvas, [center - font::width(&text, 2) / 2, y + SIZE[1] + 10], 2, DIM, &text);
    }
    font::write(canvas, [x, y - 24], 2, PLAIN, &format!("{} tokens", panel[0].length));
    let full = panel.iter().find(|summary| summary.is_full());
    if let Some(full) = full {
        let ends = [0.0, scale.most].map(|density| scale.at(corner, density, full.mean));
        canvas.line(ends[0], ends[1], 2.0, BRIGHT);
    }
    // Beside full attention only what was asked the same.
    for summary in panel.iter().filter(|summary| full.is_none_or(|full| full.comparable(summary))) {
        if let Some(method) = methods.iter().position(|method| *method == summary.method) {
            mark(canvas, scale.at(corner, summary.density, summary.mean), colour(method));
        }
    }
}

fn mark(canvas: &mut Canvas, at: [f32; 2], colour: Colour) {
    canvas.line(at, at, 14.0, colour);
}
