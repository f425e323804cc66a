//! Lines over the share of blocks that are kept.

use super::{Order, SIDE};
use crate::{Layer, stats::mean};
use kit::chart::{Axis, DrawingBackend, Drawn, Mark, Page, Plot, RGBColor, Sample};

/// The largest share that is shown: further on all orders are nearly the same.
const MOST: f64 = 0.5;
const WIDTH: f64 = 210.0;

/// The mean over heads of `[head][share]`, as points.
fn average(layer: &Layer, order: Order) -> Vec<[f64; 2]> {
    let curves = &layer.curves;
    let heads = match order {
        Order::OneProxy => &curves.shared,
        Order::KvHead => &curves.kv_head,
        Order::Own => &curves.own,
        Order::Best => &curves.best,
    };
    let shares = curves.shares.iter().enumerate().take_while(|(_, share)| **share <= MOST);
    shares.map(|(i, &share)| [share, mean(heads.iter().map(|head| head[i]))]).collect()
}

/// The axes of all layers: shares of blocks, and of the attention from the lowest tenth on.
pub(super) fn axes(layers: &[Layer]) -> [Axis; 2] {
    let values =
        layers.iter().flat_map(|layer| Order::ALL.map(|order| average(layer, order)).into_iter().flatten());
    let low = (10.0 * values.fold(0.9, |low: f64, point| low.min(point[1]))).floor() as i32;
    let percent = |share: f64| format!("{:.0}%", 100.0 * share);
    let ticks = (low..=10).rev().step_by(if low < 5 { 2 } else { 1 }).map(|tenth| f64::from(tenth) / 10.0);
    [
        Axis::linear("blocks in the list", 0.0..MOST)
            .ticks((0..=5).map(|tenth| f64::from(tenth) / 10.0), percent),
        Axis::linear("", f64::from(low) / 10.0..1.0).ticks(ticks, percent),
    ]
}

/// Draws the four orders of a layer; what a head's own scores hold lies dashed over the others.
pub(super) fn draw<B: DrawingBackend>(
    page: &Page<'_, B>,
    corner: [f64; 2],
    axes: &[Axis; 2],
    layer: &Layer,
) -> Drawn<B> {
    let [x, y] = axes.clone();
    let mut plot = page.plot(corner, [WIDTH, SIDE], x, y)?;
    for order in [Order::Best, Order::OneProxy, Order::KvHead, Order::Own] {
        let (points, colour) = (average(layer, order), order.colour(page.theme));
        match order.sample() {
            Sample::Line(mark) => {
                let width = if matches!(order, Order::KvHead) { 3.0 } else { 2.0 };
                plot.line(&points, width, colour)?;
                mark_tenths(&plot, &points, mark, colour)?;
            }
            _ => plot.dashed(&points, 1.5, colour)?,
        }
    }
    Ok(())
}

/// Marks a line at every tenth of the blocks.
fn mark_tenths<B: DrawingBackend>(
    plot: &Plot<'_, B>,
    points: &[[f64; 2]],
    mark: Mark,
    colour: RGBColor,
) -> Drawn<B> {
    for tenth in 1..=5 {
        let share = f64::from(tenth) / 10.0;
        let nearest = points.iter().min_by(|a, b| (a[0] - share).abs().total_cmp(&(b[0] - share).abs()));
        nearest.map_or(Ok(()), |&point| plot.mark(point, mark, 7.0, colour))?;
    }
    Ok(())
}
