//! A square of pairs of heads.

use kit::{
    canvas::{Canvas, DIM, HEAT, PAGE, ramp},
    font,
};

/// Between heads of different KV heads.
const GAP: u32 = 4;
/// Cells of at least so many pixels show their figure, and every head its number.
const ROOMY: u32 = 32;

/// Draws `[head][head]` into a square of about `side` pixels; heads that share a KV head stand together.
pub(super) fn draw(
    canvas: &mut Canvas,
    [x, y]: [u32; 2],
    side: u32,
    pairs: &[Vec<f64>],
    heads_per_kv: usize,
) {
    let gaps = (pairs.len().div_ceil(heads_per_kv) - 1) as u32 * GAP;
    let cell = (side.saturating_sub(gaps) / pairs.len() as u32).max(1);
    let at = |head: usize| head as u32 * cell + (head / heads_per_kv) as u32 * GAP;
    for (a, row) in pairs.iter().enumerate() {
        for (b, &overlap) in row.iter().enumerate() {
            let [left, top] = [x + at(b), y + at(a)];
            canvas.fill([left, top], [cell, cell], ramp(&HEAT, overlap as f32));
            if cell >= ROOMY && a != b {
                let text = format!("{:.0}", 100.0 * overlap);
                let colour = if overlap > 0.6 { PAGE } else { [236, 239, 246] };
                font::write(canvas, middle([left, top], cell, &text), 2, colour, &text);
            }
        }
    }
    let every = pairs.len().div_ceil(if cell >= ROOMY { pairs.len() } else { 8 });
    for head in (0..pairs.len()).step_by(every) {
        let text = head.to_string();
        let [left, _] = middle([x + at(head), 0], cell, &text);
        font::write(canvas, [left, y + side + 8], 2, DIM, &text);
        let [_, top] = middle([0, y + at(head)], cell, &text);
        font::write(canvas, [x - 8 - font::width(&text, 2), top], 2, DIM, &text);
    }
}

/// Where a word starts that stands in the middle of a cell.
fn middle([x, y]: [u32; 2], cell: u32, text: &str) -> [u32; 2] {
    [(x + cell / 2).saturating_sub(font::width(text, 2) / 2), (y + cell / 2).saturating_sub(7)]
}
