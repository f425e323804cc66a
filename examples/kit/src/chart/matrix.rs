//! Tiles: rows of query blocks downwards, key blocks to the right.

use super::page::{Align, Drawn, Page};
use super::theme::Size;
use plotters::prelude::*;

/// A matrix of coloured tiles.
#[derive(Debug)]
pub struct Matrix<F> {
    /// Rows and columns.
    pub tiles: [usize; 2],
    /// The colour of (row, column), where there is a tile.
    pub colour: F,
}

impl<F: Fn(usize, usize) -> Option<RGBColor>> Matrix<F> {
    /// Draws the tiles into a square. Where tiles are smaller than pixels, a pixel shows the first of its tiles.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn draw<B: DrawingBackend>(&self, page: &Page<'_, B>, corner: [f64; 2], side: f64) -> Drawn<B> {
        let most = self.tiles[0].max(self.tiles[1]);
        let pixels = page.length(side) as usize;
        let cells = most.min(pixels);
        let (tile, edge) = (|cell: usize| cell * most / cells, |cell: usize| (cell * pixels / cells) as i32);
        let (left, top) = (page.length(corner[0]), page.length(corner[1]));
        for row in (0..cells).filter(|&cell| tile(cell) < self.tiles[0]) {
            let colours: Vec<_> = (0..cells)
                .map(
                    |cell| {
                        if tile(cell) < self.tiles[1] { (self.colour)(tile(row), tile(cell)) } else { None }
                    },
                )
                .collect();
            // Neighbours of one colour are one rectangle.
            let mut first = 0;
            for run in colours.chunk_by(|a, b| a == b) {
                if let Some(colour) = run[0] {
                    let from = (left + edge(first), top + edge(row));
                    let to = (left + edge(first + run.len()), top + edge(row + 1));
                    page.area.draw(&Rectangle::new([from, to], colour.filled()))?;
                }
                first += run.len();
            }
        }
        Ok(())
    }
}

/// What the colours of a heat map mean, from the least to all.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// What is measured, with its unit.
    pub title: &'static str,
    /// The least that is told from nothing, where equal ratios are equally far apart; without it, equal differences are. 1 is
    /// the most.
    pub least: Option<f64>,
}

impl Scale {
    /// Where a share lies between nothing and everything.
    pub fn position(&self, share: f64) -> f64 {
        self.least.map_or(share, |least| 1.0 - share.max(f64::MIN_POSITIVE).ln() / least.ln())
    }

    /// Draws a bar with every colour, a text at each of `ticks`, and its title.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn draw<B: DrawingBackend>(
        &self,
        page: &Page<'_, B>,
        [x, y]: [f64; 2],
        width: f64,
        ticks: &[(f64, &str)],
    ) -> Drawn<B> {
        let title = Size::Text.width(self.title) + 16.0;
        page.text([x, y + 6.0], Align::Left, Size::Text, page.theme.ink, self.title)?;
        let x = x + title;
        let steps = width as u32;
        for step in 0..steps {
            let from = x + f64::from(step);
            let colour = page.theme.heat((f64::from(step) + 0.5) / f64::from(steps));
            // To the end, so that no seam shows between two colours.
            page.fill([from, y], [x + width, y + 12.0], colour)?;
        }
        page.outline([x, y], [x + width, y + 12.0], 1.0, page.theme.grid)?;
        for &(share, text) in ticks {
            let at = x + width * self.position(share).clamp(0.0, 1.0);
            page.text([at, y + 22.0], Align::Center, Size::Small, page.theme.quiet, text)?;
        }
        Ok(())
    }
}
