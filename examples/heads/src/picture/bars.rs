//! Two figures of each head, side by side.

use super::chart::label;
use kit::{
    canvas::{Canvas, Colour, DIM, GROUND, mix},
    font,
};

/// Steps between the lines of the axis.
const STEPS: [f64; 7] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// Draws bars upwards from zero; what is negative hangs below.
pub(super) fn draw(
    canvas: &mut Canvas,
    [x, y]: [u32; 2],
    [width, height]: [u32; 2],
    series: [(&[f64], Colour); 2],
) {
    canvas.fill([x, y], [width, height], GROUND);
    let values = || series.iter().flat_map(|(values, _)| values.iter().copied());
    let span = values().fold(0.01, f64::max) - values().fold(0.0, f64::min);
    let step = STEPS.into_iter().find(|step| span / step <= 6.0).unwrap_or(1.0);
    let low = (values().fold(0.0, f64::min) / step).floor();
    let high = (values().fold(0.01, f64::max) / step).ceil();
    let at = |value: f64| y + ((high - value / step) / (high - low) * f64::from(height)).round() as u32;
    for line in low as i64..=high as i64 {
        let value = line as f64 * step;
        let strength = if line == 0 { 0.9 } else { 0.3 };
        canvas.fill([x, at(value)], [width, 1], mix(GROUND, DIM, strength));
        label(canvas, [x - 8, at(value)], &format!("{:.*}%", usize::from(step < 0.01), 100.0 * value));
    }
    let heads = series[0].0.len() as u32;
    let (slot, every) = (width / heads, heads.div_ceil(9));
    let bar = (slot * 2 / 5).max(1);
    for head in 0..heads {
        let left = x + head * width / heads + (slot - (2 * bar).min(slot)) / 2;
        for (i, (values, colour)) in (0..).zip(series) {
            let (value, zero) = (at(values[head as usize]), at(0.0));
            canvas.fill([left + i * bar, value.min(zero)], [bar, value.abs_diff(zero).max(1)], colour);
        }
        if head.is_multiple_of(every) {
            let text = head.to_string();
            let center = x + head * width / heads + slot / 2;
            font::write(canvas, [center - font::width(&text, 2) / 2, y + height + 8], 2, DIM, &text);
        }
    }
}
