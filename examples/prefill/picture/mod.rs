//! The picture: for each head, where its attention truly goes, and which blocks it visits.

mod panel;

use super::{
    measure::Outcome,
    report::{configuration, head_name},
};
use image::RgbImage;
use kit::{
    canvas::{BRIGHT, Canvas, DIM, PAGE, PLAIN},
    font,
};
use panel::Grid;

const MARGIN: u32 = 36;
/// Pixels of a panel's side, as nearly as whole tiles allow.
const PANEL: u32 = 192;
/// Between the two panels of a head, between heads, and from a label to its panels.
const BETWEEN: u32 = 8;
const APART: u32 = 36;
const LABEL: u32 = 24;
const HEADER: u32 = 116;
const FOOTER: u32 = 64;
/// Font scales of the three lines of the header.
const SIZES: [u32; 3] = [3, 2, 2];
/// The colour bar, and all of the legend.
const BAR: u32 = 160;
const LEGEND: u32 = 780;
/// More heads than this do not help to see anything.
const MOST_HEADS: usize = 32;

/// Draws everything.
pub(super) fn draw(outcome: &Outcome, source: &str) -> RgbImage {
    let geometry = outcome.selection.geometry();
    let grid = Grid::new(geometry.rows(), geometry.blocks(), PANEL);
    let heads = outcome.heads.len().min(MOST_HEADS);
    let columns = columns(outcome, heads);
    let lines = heads.div_ceil(columns) as u32;
    let pair = [2 * grid.side + BETWEEN, LABEL + grid.side];
    let titles = header(outcome, source, heads);
    let text = titles.iter().zip(SIZES).map(|(title, scale)| font::width(title, scale)).max().unwrap_or(0);
    let across = (columns as u32 * (pair[0] + APART) - APART).max(text).max(LEGEND);
    let mut canvas = Canvas::new([across + 2 * MARGIN, HEADER + lines * (pair[1] + APART) + FOOTER], PAGE);

    let styles = SIZES.into_iter().zip([BRIGHT, PLAIN, DIM]).zip([0, 34, 58]);
    for (title, ((scale, colour), below)) in titles.iter().zip(styles) {
        font::write(&mut canvas, [MARGIN, MARGIN + below], scale, colour, title);
    }
    for head in 0..heads {
        let x = MARGIN + (head % columns) as u32 * (pair[0] + APART);
        let y = MARGIN / 2 + HEADER + (head / columns) as u32 * (pair[1] + APART);
        label(&mut canvas, [x, y], pair[0], outcome, head);
        panel::draw_mass(&mut canvas, [x, y + LABEL], grid, outcome, head);
        panel::draw_selected(&mut canvas, [x + grid.side + BETWEEN, y + LABEL], grid, outcome, head);
    }
    legend(&mut canvas, MARGIN / 2 + HEADER + lines * (pair[1] + APART));
    canvas.into_image()
}

/// Heads of a line: those that share keys, where they are few.
fn columns(outcome: &Outcome, heads: usize) -> usize {
    let sharing = outcome.problem.heads_per_kv();
    if (2..=4).contains(&sharing) { sharing } else { heads.min(4) }
}

/// Title, input and kernel.
fn header(outcome: &Outcome, source: &str, heads: usize) -> [String; 3] {
    let p = &outcome.problem;
    let first =
        if heads < outcome.heads.len() { format!(", the first {heads} shown") } else { String::new() };
    let title = format!(
        "{:.0}% of the tiles hold {:.0}% of the attention",
        100.0 * outcome.density,
        100.0 * outcome.recall
    );
    let input =
        format!("{source} · {} tokens · {} heads on {} KV heads{first}", p.kv_len, p.heads, p.kv_heads);
    [title, input, configuration(&outcome.spec, outcome.groups, p.kv_heads)]
}

/// The name of a head at the left of its panels, its figures at the right.
fn label(canvas: &mut Canvas, [x, y]: [u32; 2], width: u32, outcome: &Outcome, head: usize) {
    let report = &outcome.heads[head];
    let figures = format!("{:.0}% of tiles, {:.1}% of mass", 100.0 * report.density, 100.0 * report.recall);
    font::write(canvas, [x, y], 2, BRIGHT, &format!("head {}", head_name(outcome, head)));
    font::write(canvas, [x + width - font::width(&figures, 2), y], 2, PLAIN, &figures);
}

/// What the colours mean.
fn legend(canvas: &mut Canvas, y: u32) {
    let mut x = MARGIN;
    let word = |canvas: &mut Canvas, x: &mut u32, colour, text: &str, after: u32| {
        font::write(canvas, [*x, y], 2, colour, text);
        *x += font::width(text, 2) + after;
    };
    word(canvas, &mut x, PLAIN, "left: true attention mass", 16);
    word(canvas, &mut x, DIM, "0.03%", 6);
    for i in 0..BAR {
        let exponent = panel::DARKEST * (1.0 - i as f32 / BAR as f32);
        canvas.fill([x + i, y], [1, 14], panel::mass_colour(10f32.powf(exponent)));
    }
    x += BAR + 8;
    word(canvas, &mut x, DIM, "100%", 40);
    word(canvas, &mut x, PLAIN, "right:", 14);
    for (colour, text) in [(panel::SELECTED, "visited"), (panel::MISSED, "missed, by its mass")] {
        canvas.fill([x, y], [14, 14], colour);
        x += 22;
        word(canvas, &mut x, DIM, text, 24);
    }
}
