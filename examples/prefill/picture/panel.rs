//! One square of tiles: rows of query blocks downwards, key blocks to the right.

use super::super::measure::Outcome;
use kit::canvas::{Canvas, Colour, GROUND, HEAT, mix, ramp};

/// The mass, as a power of ten, at the dark end of the ramp; the bright end is all of it.
pub(super) const DARKEST: f32 = -3.5;
pub(super) const SELECTED: Colour = [62, 196, 180];
pub(super) const MISSED: Colour = [255, 112, 82];
/// Missed tiles show from this mass on, fully at the second.
const MISSED_RANGE: [f32; 2] = [0.004, 0.05];

/// Where the tiles of a panel lie in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    rows: usize,
    columns: usize,
    /// Pixels of a side; a whole number for each tile where there are fewer tiles than pixels.
    pub(super) side: u32,
}

impl Grid {
    /// A square of about `wanted` pixels.
    pub(super) fn new(rows: usize, columns: usize, wanted: u32) -> Self {
        let most = rows.max(columns) as u32;
        let scale = ((f64::from(wanted) / f64::from(most)).round() as u32).max(1);
        Self { rows, columns, side: (most * scale).min(wanted * 3 / 2) }
    }

    /// Calls `draw` with each pixel and the (row, block) that it shows. Where tiles are smaller than pixels, a
    /// pixel shows the first of its tiles.
    fn pixels(&self, mut draw: impl FnMut([u32; 2], [usize; 2])) {
        let most = self.rows.max(self.columns);
        for y in 0..self.side {
            for x in 0..self.side {
                let [row, block] = [y, x].map(|at| at as usize * most / self.side as usize);
                if row < self.rows && block < self.columns {
                    draw([x, y], [row, block]);
                }
            }
        }
    }
}

/// The brightness of a tile's mass.
pub(super) fn mass_colour(share: f32) -> Colour {
    ramp(&HEAT, 1.0 - share.max(f32::MIN_POSITIVE).log10() / DARKEST)
}

/// For each row, the place in the list of rows whose mass is known: its own, or the nearest below it.
fn known_rows(outcome: &Outcome) -> Vec<usize> {
    let known = outcome.mass.rows();
    let place = |row| known.partition_point(|&k| k < row).min(known.len() - 1);
    (0..outcome.selection.geometry().rows()).map(place).collect()
}

/// The true attention mass of a head.
pub(super) fn draw_mass(canvas: &mut Canvas, [x, y]: [u32; 2], grid: Grid, outcome: &Outcome, head: usize) {
    let geometry = outcome.selection.geometry();
    let known = known_rows(outcome);
    grid.pixels(|[dx, dy], [row, block]| {
        if block < geometry.visible(row) {
            let share = outcome.mass.row(head, known[row])[block];
            canvas.fill([x + dx, y + dy], [1, 1], mass_colour(share));
        }
    });
}

/// The blocks that a head visits, and those that it misses.
pub(super) fn draw_selected(
    canvas: &mut Canvas,
    [x, y]: [u32; 2],
    grid: Grid,
    outcome: &Outcome,
    head: usize,
) {
    let geometry = outcome.selection.geometry();
    let (batch, in_batch) = (head / outcome.problem.heads, head % outcome.problem.heads);
    let known = known_rows(outcome);
    let mut visited = vec![false; geometry.rows() * geometry.blocks()];
    for row in 0..geometry.rows() {
        for &block in outcome.selection.blocks(batch, in_batch, row) {
            visited[row * geometry.blocks() + block as usize] = true;
        }
    }
    grid.pixels(|[dx, dy], [row, block]| {
        if block < geometry.visible(row) {
            let colour = if visited[row * geometry.blocks() + block] {
                SELECTED
            } else {
                let [from, to] = MISSED_RANGE.map(f32::ln);
                let share = outcome.mass.row(head, known[row])[block].max(f32::MIN_POSITIVE);
                mix(GROUND, MISSED, (share.ln() - from) / (to - from))
            };
            canvas.fill([x + dx, y + dy], [1, 1], colour);
        }
    });
}
