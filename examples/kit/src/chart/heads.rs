//! One head large: where its attention is, which blocks it visits, what it misses. The others small below.

use super::axes::Axis;
use super::legend::Sample;
use super::matrix::{Matrix, Scale};
use super::page::{Align, Drawn, Page};
use super::theme::Size;
use super::{Picture, WIDTH};
use plotters::prelude::{DrawingBackend, RGBColor};

/// Shares of a query's attention that are told apart: below the least they look like nothing.
const SCALE: Scale = Scale { title: "share of the queries' attention in a tile", least: Some(0.001) };
const TICKS: [(f64, &str); 4] = [(0.001, "0.1%"), (0.01, "1%"), (0.1, "10%"), (1.0, "100%")];
/// The title; the large panels with their axes; the legend.
const HEADER: f64 = 48.0;
const SIDE: f64 = 224.0;
const PANELS: f64 = SIDE + 66.0;
const LEGEND: f64 = 66.0;
/// Where the tiles of each large panel start.
const COLUMNS: [f64; 3] = [74.0, 326.0, 578.0];
/// The small panels: as many as fit into a line, each with a line of text above and below.
const SMALL: f64 = 80.0;
const APART: f64 = 10.0;
const TEXT: f64 = 38.0;
const IN_LINE: usize = 9;
/// More heads than this do not help to see anything.
const MOST: usize = 36;

/// The tiles of some heads.
pub trait HeadTiles {
    /// Rows of query blocks, and blocks of keys.
    fn tiles(&self) -> [usize; 2];
    /// Query tokens and key tokens.
    fn tokens(&self) -> [usize; 2];
    /// The blocks that a row sees.
    fn visible(&self, row: usize) -> usize;
    /// The share of the row's attention in a block; a row's shares add up to 1.
    fn mass(&self, head: usize, row: usize, block: usize) -> f32;
    /// Whether a head visits a block.
    fn is_visited(&self, head: usize, row: usize, block: usize) -> bool;
}

/// What a head visits, beside where its attention is.
pub struct OneHead<'a> {
    /// The title of the picture.
    pub title: String,
    /// The input and the configuration, in lines.
    pub subject: Vec<String>,
    /// The head that is shown large.
    pub head: usize,
    /// Name, share of the blocks and share of the attention of each head.
    pub heads: Vec<(String, f64, f64)>,
    /// What is drawn.
    pub tiles: &'a dyn HeadTiles,
}

impl OneHead<'_> {
    /// The height of the title.
    fn header(&self) -> f64 {
        HEADER + 18.0 * self.subject.len() as f64
    }

    fn shown(&self) -> usize {
        self.heads.len().min(MOST)
    }

    fn lines(&self) -> usize {
        if self.heads.len() > 1 { self.shown().div_ceil(IN_LINE) } else { 0 }
    }

    /// The colour of a tile by what it holds, of those for which `shows` is true.
    fn mass<'t>(
        &'t self,
        theme: &'t super::Theme,
        shows: impl Fn(usize, usize) -> bool + 't,
    ) -> impl Fn(usize, usize) -> Option<RGBColor> + 't {
        move |row, block| {
            let share = f64::from(self.tiles.mass(self.head, row, block));
            let is_seen = block < self.tiles.visible(row);
            is_seen.then(|| theme.heat(if shows(row, block) { SCALE.position(share) } else { 0.0 }))
        }
    }

    fn visited<'t>(
        &'t self,
        theme: &'t super::Theme,
        head: usize,
    ) -> impl Fn(usize, usize) -> Option<RGBColor> + 't {
        move |row, block| {
            let is_visited = self.tiles.is_visited(head, row, block);
            (block < self.tiles.visible(row)).then_some(if is_visited {
                theme.series[1]
            } else {
                theme.ground
            })
        }
    }

    /// Draws a large panel whose tiles start at `x`; the axis of the queries is the first one's.
    fn panel<B: DrawingBackend>(
        &self,
        page: &Page<'_, B>,
        x: f64,
        title: &str,
        colour: impl Fn(usize, usize) -> Option<RGBColor>,
    ) -> Drawn<B> {
        let [queries, keys] = self.tiles.tokens().map(|tokens| tokens as f64);
        let most = queries.max(keys);
        let ticks = |tokens: f64| [0.0, 0.5, 1.0].map(|share| (share * tokens).round());
        let text = |tokens: f64| format!("{tokens:.0}");
        let down = Axis::linear("query token", most..0.0).ticks(ticks(queries), text);
        let right = Axis::linear("key token", 0.0..most).ticks(ticks(keys), text);
        let down = if x == COLUMNS[0] { down } else { down.without_text() };
        let y = self.header() + 22.0;
        page.plot([x, y], [SIDE, SIDE], right, down)?;
        Matrix { tiles: self.tiles.tiles(), colour }.draw(page, [x, y], SIDE)?;
        page.text([x, y - 14.0], Align::Left, Size::Heading, page.theme.ink, title)
    }
}

impl Picture for OneHead<'_> {
    fn size(&self) -> [u32; 2] {
        let small = self.lines() as f64 * (SMALL + TEXT + APART);
        let heading = if small > 0.0 { 24.0 } else { 0.0 };
        [WIDTH, (self.header() + PANELS + LEGEND + heading + small) as u32]
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<'_, B>) -> Drawn<B> {
        let theme = page.theme;
        let subject: Vec<_> = self.subject.iter().map(String::as_str).collect();
        page.title(&self.title, &subject)?;
        let (name, density, recall) = &self.heads[self.head];
        let percent = |share: f64| format!("{:.0}%", 100.0 * share);
        let seen = |row, block| !self.tiles.is_visited(self.head, row, block);
        self.panel(page, COLUMNS[0], &format!("Attention of head {name}"), self.mass(theme, |_, _| true))?;
        let title = format!("Visited: {} of the tiles", percent(*density));
        self.panel(page, COLUMNS[1], &title, self.visited(theme, self.head))?;
        let title = format!("Missed: {} of the attention", percent(1.0 - recall));
        self.panel(page, COLUMNS[2], &title, self.mass(theme, seen))?;

        let y = self.header() + PANELS + 6.0;
        SCALE.draw(page, [COLUMNS[0], y], 190.0, &TICKS)?;
        let entries =
            [(Sample::Fill, theme.series[1], "visited"), (Sample::Fill, theme.ground, "not visited")];
        page.legend([COLUMNS[2] + 20.0, y - 4.0], 240.0, &entries)?;

        if self.lines() == 0 {
            return Ok(());
        }
        let y = self.header() + PANELS + LEGEND;
        let more = match self.heads.len() - self.shown() {
            0 => String::new(),
            more => format!("; {more} more are not shown"),
        };
        let heading =
            format!("What each head visits, with its share of the tiles and of the attention{more}");
        page.text([16.0, y], Align::Left, Size::Heading, theme.ink, &heading)?;
        let pitch = (f64::from(WIDTH) - 32.0 + APART) / IN_LINE as f64;
        for (head, (name, density, recall)) in self.heads.iter().enumerate().take(self.shown()) {
            let x = 16.0 + (head % IN_LINE) as f64 * pitch;
            let y = y + 24.0 + (head / IN_LINE) as f64 * (SMALL + TEXT + APART);
            page.text([x, y], Align::Left, Size::Small, theme.ink, &format!("head {name}"))?;
            let colour = self.visited(theme, head);
            Matrix { tiles: self.tiles.tiles(), colour }.draw(page, [x, y + 10.0], SMALL)?;
            let figures = format!("{} · {}", percent(*density), percent(*recall));
            page.text([x, y + SMALL + 20.0], Align::Left, Size::Small, theme.quiet, &figures)?;
        }
        Ok(())
    }
}
