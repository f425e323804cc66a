//! What marks, lines and colours mean.

use super::page::{Align, Drawn, Mark, Page};
use super::theme::Size;
use plotters::prelude::*;

/// What stands before a name in a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// The mark of a point.
    Mark(Mark),
    /// A line with the mark of its points.
    Line(Mark),
    /// A dashed line.
    Dashes,
    /// A filled square.
    Fill,
    /// An upright line.
    Bar,
}

/// The width of a sample, and of what follows a name.
const SAMPLE: f64 = 24.0;
const APART: f64 = 20.0;
/// The height of a line.
const LINE: f64 = 20.0;

/// The height of a legend of a width.
pub fn legend_height<'n>(names: impl IntoIterator<Item = &'n str>, width: f64) -> f64 {
    flow(names, width).last().map_or(0.0, |at| at[1] + LINE)
}

/// Where each name starts, in lines.
fn flow<'n>(names: impl IntoIterator<Item = &'n str>, width: f64) -> Vec<[f64; 2]> {
    let (mut x, mut y) = (0.0, 0.0);
    let places = names.into_iter().map(|name| {
        let taken = SAMPLE + Size::Text.width(name);
        if x > 0.0 && x + taken > width {
            (x, y) = (0.0, y + LINE);
        }
        let place = [x, y];
        x += taken + APART;
        place
    });
    places.collect()
}

impl<B: DrawingBackend> Page<'_, B> {
    /// Writes a legend in lines from `corner` on, no wider than `width`.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn legend(&self, corner: [f64; 2], width: f64, entries: &[(Sample, RGBColor, &str)]) -> Drawn<B> {
        let places = flow(entries.iter().map(|entry| entry.2), width);
        for (&(sample, colour, name), [x, y]) in entries.iter().zip(places) {
            let [x, y] = [corner[0] + x, corner[1] + y + LINE / 2.0];
            let middle = [x + SAMPLE / 2.0 - 3.0, y];
            let line = [[x, y], [x + SAMPLE - 6.0, y]];
            match sample {
                Sample::Mark(mark) => self.mark(middle, mark, 10.0, colour)?,
                Sample::Line(mark) => {
                    self.line(&line, 2.0, colour)?;
                    self.mark(middle, mark, 9.0, colour)?;
                }
                Sample::Dashes => {
                    for dash in 0..3 {
                        let from = x + 7.0 * f64::from(dash);
                        self.line(&[[from, y], [from + 4.0, y]], 2.0, colour)?;
                    }
                }
                Sample::Bar => self.line(&[[middle[0], y - 6.0], [middle[0], y + 6.0]], 1.5, colour)?,
                Sample::Fill => self.fill([x + 2.0, y - 6.0], [x + 14.0, y + 6.0], colour)?,
            }
            self.text([x + SAMPLE, y], Align::Left, Size::Text, self.theme.ink, name)?;
        }
        Ok(())
    }
}
