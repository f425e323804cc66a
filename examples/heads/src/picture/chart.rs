//! Lines over the share of blocks that are kept.

use crate::stats::mean;
use kit::{
    canvas::{Canvas, Colour, DIM, GROUND, mix},
    font,
};

/// The largest share that is shown: further on all orders are nearly the same.
const MOST: f64 = 0.5;

/// The mean over heads of `[head][share]`.
pub(super) fn average(heads: &[Vec<f64>]) -> Vec<f64> {
    (0..heads[0].len()).map(|share| mean(heads.iter().map(|head| head[share]))).collect()
}

/// Draws lines of mass over shares, and a mark at `keep`.
pub(super) fn draw(
    canvas: &mut Canvas,
    [x, y]: [u32; 2],
    [width, height]: [u32; 2],
    shares: &[f64],
    lines: &[(Colour, Vec<f64>)],
    keep: f64,
) {
    canvas.fill([x, y], [width, height], GROUND);
    let values = lines.iter().flat_map(|(_, values)| values);
    // A tenth at the least, so that the ticks are one.
    let low = (10.0 * values.fold(0.9, |low: f64, &value| low.min(value))).floor() / 10.0;
    let at = |share: f64, mass: f64| {
        let up = (mass - low) / (1.0 - low);
        [x as f32 + (share / MOST) as f32 * width as f32, y as f32 + (1.0 - up) as f32 * height as f32]
    };
    let faint = mix(GROUND, DIM, 0.3);
    let first = (10.0 * low).round() as u32;
    for tenth in (first..=10).step_by(if first < 5 { 2 } else { 1 }) {
        let mass = f64::from(tenth) / 10.0;
        canvas.line(at(0.0, mass), at(MOST, mass), 1.0, faint);
        label(canvas, [x - 8, at(0.0, mass)[1] as u32], &format!("{}%", 10 * tenth));
    }
    for tenth in 0..=5 {
        let [center, _] = at(f64::from(tenth) / 10.0, 1.0);
        let text = format!("{}%", 10 * tenth);
        font::write(canvas, [center as u32 - font::width(&text, 2) / 2, y + height + 8], 2, DIM, &text);
    }
    if keep <= MOST {
        canvas.line(at(keep, low), at(keep, 1.0), 1.0, DIM);
    }
    for (colour, values) in lines {
        let points: Vec<_> = shares.iter().zip(values).take_while(|(share, _)| **share <= MOST).collect();
        for pair in points.windows(2) {
            canvas.line(at(*pair[0].0, *pair[0].1), at(*pair[1].0, *pair[1].1), 2.5, *colour);
        }
    }
}

/// A word that ends at `x`, beside `y`.
pub(super) fn label(canvas: &mut Canvas, [x, y]: [u32; 2], text: &str) {
    font::write(canvas, [x - font::width(text, 2), y.saturating_sub(7)], 2, DIM, text);
}
