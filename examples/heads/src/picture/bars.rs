//! What each head loses, with one proxy and with one per KV head, side by side.

use super::{Order, SIDE, heads};
use crate::Layer;
use kit::chart::{Axis, DrawingBackend, Drawn, Page};

/// Steps between the lines of the axis.
const STEPS: [f64; 7] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
const WIDTH: f64 = 200.0;
/// The share of a head's room that its two bars take.
const BARS: f64 = 0.8;

/// The losses of the heads of a layer: with one proxy, and with one per KV head.
fn losses(layer: &Layer) -> [&[f64]; 2] {
    [&layer.regrets[0].heads, &layer.regrets[layer.regrets.len() - 1].heads]
}

/// The axis of all layers. What is gained lies below zero.
pub(super) fn axis(layers: &[Layer]) -> Axis {
    let values = || layers.iter().flat_map(|layer| losses(layer).into_iter().flatten().copied());
    let (least, most) = (values().fold(0.0, f64::min), values().fold(0.01, f64::max));
    let step = STEPS.into_iter().find(|step| (most - least) / step <= 6.0).unwrap_or(1.0);
    let (low, high) = ((least / step).floor() as i32, (most / step).ceil() as i32);
    let digits = usize::from(step < 0.01);
    Axis::linear("", f64::from(low) * step..f64::from(high) * step)
        .ticks((low..=high).map(|line| f64::from(line) * step), |loss| {
            format!("{:.digits$}%", 100.0 * loss).replace('-', "−")
        })
}

/// Draws two bars for each head.
pub(super) fn draw<B: DrawingBackend>(
    page: &Page<'_, B>,
    corner: [f64; 2],
    axis: &Axis,
    layer: &Layer,
) -> Drawn<B> {
    let mut plot = page.plot(corner, [WIDTH, SIDE], heads(layer.heads), axis.clone())?;
    let orders = [Order::OneProxy, Order::KvHead];
    for (place, (losses, order)) in losses(layer).into_iter().zip(orders).enumerate() {
        for (head, &loss) in losses.iter().enumerate() {
            let left = head as f64 + (1.0 - BARS) / 2.0 + place as f64 * BARS / 2.0;
            plot.fill([left, 0.0], [left + BARS / 2.0, loss], order.colour(page.theme))?;
        }
    }
    plot.line(&[[0.0, 0.0], [layer.heads as f64, 0.0]], 1.0, page.theme.quiet)
}
