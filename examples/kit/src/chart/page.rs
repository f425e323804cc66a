//! A part of a picture, in pixels from its upper left corner.

use super::theme::{FAMILY, Size, Theme};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Whether something could be drawn.
pub type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// A rectangle that is drawn on.
pub struct Page<'a, B: DrawingBackend> {
    pub(super) area: DrawingArea<B, Shift>,
    /// Its colours.
    pub theme: &'a Theme,
    density: f64,
}

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Its left end.
    Left,
    /// Its middle.
    Center,
    /// Its right end.
    Right,
}

/// The shape of a point, which tells a series apart without its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A filled circle.
    Circle,
    /// The outline of a circle.
    Ring,
    /// A filled square.
    Square,
    /// A filled triangle that points up.
    Triangle,
    /// A filled triangle that points down.
    Wedge,
    /// The outline of a square on its corner.
    Diamond,
    /// Two strokes.
    Cross,
}

impl<'a, B: DrawingBackend> Page<'a, B> {
    pub(super) fn new(area: DrawingArea<B, Shift>, theme: &'a Theme, density: u32) -> Self {
        Self { area, theme, density: f64::from(density) }
    }

    /// A length of the page in pixels of the backend.
    pub(super) fn length(&self, pixels: f64) -> i32 {
        (pixels * self.density).round() as i32
    }

    fn place(&self, [x, y]: [f64; 2]) -> (i32, i32) {
        (self.length(x), self.length(y))
    }

    /// A part of the page.
    #[must_use]
    pub fn part(&self, corner: [f64; 2], [width, height]: [f64; 2]) -> Self {
        let size = (self.length(width) as u32, self.length(height) as u32);
        Self { area: self.area.clone().shrink(self.place(corner), size), ..*self }
    }

    pub(super) fn clear(&self) -> Drawn<B> {
        self.area.fill(&self.theme.paper)
    }

    pub(super) fn present(&self) -> Drawn<B> {
        self.area.present()
    }

    /// How text of a size and colour looks.
    pub(super) fn style(&self, size: Size, colour: RGBColor) -> TextStyle<'static> {
        let font = (FAMILY, size.pixels() * self.density, size.style()).into_font();
        font.color(&colour)
    }

    /// Writes a text, whose middle is as high as `at`.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn text(&self, at: [f64; 2], align: Align, size: Size, colour: RGBColor, text: &str) -> Drawn<B> {
        let across = match align {
            Align::Left => HPos::Left,
            Align::Center => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style = self.style(size, colour).pos(Pos::new(across, VPos::Center));
        self.area.draw_text(text, &style, self.place(at))
    }

    /// Fills a rectangle between two corners.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn fill(&self, from: [f64; 2], to: [f64; 2], colour: RGBColor) -> Drawn<B> {
        self.area.draw(&Rectangle::new([self.place(from), self.place(to)], colour.filled()))
    }

    /// Draws the outline of a rectangle between two corners.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn outline(&self, from: [f64; 2], to: [f64; 2], width: f64, colour: RGBColor) -> Drawn<B> {
        let style = colour.stroke_width(self.length(width) as u32);
        self.area.draw(&Rectangle::new([self.place(from), self.place(to)], style))
    }

    /// Joins points by a line.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn line(&self, points: &[[f64; 2]], width: f64, colour: RGBColor) -> Drawn<B> {
        let points: Vec<_> = points.iter().map(|&point| self.place(point)).collect();
        self.area.draw(&PathElement::new(points, colour.stroke_width(self.length(width) as u32)))
    }

    /// Draws a mark of about `size` pixels around a point.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn mark(&self, at: [f64; 2], mark: Mark, size: f64, colour: RGBColor) -> Drawn<B> {
        let half = size / 2.0;
        let polygon = |corners: &[[f64; 2]]| {
            let corners: Vec<_> =
                corners.iter().map(|[dx, dy]| self.place([at[0] + dx * half, at[1] + dy * half])).collect();
            self.area.draw(&Polygon::new(corners, colour.filled()))
        };
        match mark {
            Mark::Circle => self.area.draw(&Circle::new(self.place(at), self.length(half), colour.filled())),
            Mark::Ring => {
                let line = colour.stroke_width(self.length(2.0) as u32);
                self.area.draw(&Circle::new(self.place(at), self.length(half), line))
            }
            Mark::Square => polygon(&[[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]]),
            Mark::Triangle => polygon(&[[0.0, -1.1], [1.05, 0.8], [-1.05, 0.8]]),
            Mark::Wedge => polygon(&[[0.0, 1.1], [1.05, -0.8], [-1.05, -0.8]]),
            Mark::Diamond => {
                let ([x, y], arm) = (at, 1.2 * half);
                let corners = [[x, y - arm], [x + arm, y], [x, y + arm], [x - arm, y], [x, y - arm]];
                self.line(&corners, 2.0, colour)
            }
            Mark::Cross => {
                let [x, y] = at;
                let arm = 0.8 * half;
                self.line(&[[x - arm, y - arm], [x + arm, y + arm]], 2.0, colour)?;
                self.line(&[[x - arm, y + arm], [x + arm, y - arm]], 2.0, colour)
            }
        }
    }

    /// Writes the title of a picture, and below it what was measured, in lines of 18 pixels.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn title(&self, title: &str, subject: &[&str]) -> Drawn<B> {
        self.text([16.0, 22.0], Align::Left, Size::Title, self.theme.ink, title)?;
        (0..).zip(subject).try_for_each(|(line, text)| {
            let at = [16.0, 44.0 + 18.0 * f64::from(line)];
            self.text(at, Align::Left, Size::Text, self.theme.quiet, text)
        })
    }
}
