//! A square of pairs of heads.

use super::{SIDE, heads};
use crate::Layer;
use kit::chart::{Align, DrawingBackend, Drawn, Page, Scale};

/// The colours of all squares.
pub(super) const SCALE: Scale = Scale { title: "far tokens that two heads have in common", least: None };
/// Squares of at least so many pixels show their figure.
const ROOMY: f64 = 19.0;

/// Draws what each pair of heads has in common; lines part the heads of different KV heads.
pub(super) fn draw<B: DrawingBackend>(page: &Page<'_, B>, [x, y]: [f64; 2], layer: &Layer) -> Drawn<B> {
    let (theme, count) = (page.theme, layer.heads as f64);
    let (right, down) = (heads(layer.heads), heads(layer.heads).reversed());
    let mut plot = page.plot([x, y], [SIDE, SIDE], right, down)?;
    for (a, row) in layer.overlap.far.pairs.iter().enumerate() {
        for (b, &overlap) in row.iter().enumerate() {
            let from = [b as f64, a as f64];
            plot.fill(from, from.map(|at| at + 1.0), theme.heat(SCALE.position(overlap)))?;
            if SIDE / count >= ROOMY && a != b {
                let colour = if overlap > 0.5 { theme.paper } else { theme.ink };
                plot.text(
                    from.map(|at| at + 0.5),
                    [0.0, 0.0],
                    Align::Center,
                    colour,
                    &format!("{:.0}", 100.0 * overlap),
                )?;
            }
        }
    }
    for first in (0..layer.heads).step_by(layer.heads / layer.kv_heads).skip(1) {
        let at = first as f64;
        plot.line(&[[at, 0.0], [at, count]], 3.0, theme.paper)?;
        plot.line(&[[0.0, at], [count, at]], 3.0, theme.paper)?;
    }
    Ok(())
}
