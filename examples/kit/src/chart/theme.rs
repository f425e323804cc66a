//! Colours and fonts of every picture.

use plotters::style::{FontStyle, IntoFont, RGBColor, register_font};
use std::sync::OnceLock;

/// The font, and what a viewer of an SVG without it takes instead. Text is measured as Noto Sans, one of the wider.
pub(super) const FAMILY: &str = "Noto Sans, Segoe UI, Helvetica, Arial, sans-serif";

/// How much wider text may be in what a viewer takes instead: `DejaVu Sans` is the widest that is common.
const WIDER: f64 = 1.13;

/// The colours of a picture. Series are told apart by their marks, too, and by their lightness where colours look alike.
#[derive(Debug)]
pub struct Theme {
    /// Part of a file's name: `light` or `dark`.
    pub name: &'static str,
    /// What lies behind everything.
    pub paper: RGBColor,
    /// Titles and text.
    pub ink: RGBColor,
    /// Ticks and captions.
    pub quiet: RGBColor,
    /// Lines of a grid.
    pub grid: RGBColor,
    /// Tiles in which there is nothing.
    pub ground: RGBColor,
    /// Series, in the order of their importance; after the palette of Okabe and Ito.
    pub series: [RGBColor; 7],
    /// From nothing to everything, with lightness changing evenly.
    pub heat: [RGBColor; 5],
}

/// For pages with dark text on white.
pub const LIGHT: Theme = Theme {
    name: "light",
    paper: RGBColor(255, 255, 255),
    ink: RGBColor(31, 35, 40),
    quiet: RGBColor(89, 99, 110),
    grid: RGBColor(225, 229, 234),
    ground: RGBColor(240, 242, 245),
    series: [
        RGBColor(0, 98, 168),
        RGBColor(205, 84, 0),
        RGBColor(0, 138, 100),
        RGBColor(168, 76, 134),
        RGBColor(196, 134, 0),
        RGBColor(78, 160, 214),
        RGBColor(110, 119, 129),
    ],
    heat: [
        RGBColor(240, 242, 245),
        RGBColor(178, 205, 230),
        RGBColor(96, 156, 208),
        RGBColor(24, 92, 160),
        RGBColor(6, 36, 84),
    ],
};

/// For pages with bright text on nearly black.
pub const DARK: Theme = Theme {
    name: "dark",
    paper: RGBColor(13, 17, 23),
    ink: RGBColor(240, 246, 252),
    quiet: RGBColor(155, 164, 174),
    grid: RGBColor(42, 49, 60),
    ground: RGBColor(26, 32, 42),
    series: [
        RGBColor(90, 184, 246),
        RGBColor(250, 142, 72),
        RGBColor(52, 200, 152),
        RGBColor(232, 160, 206),
        RGBColor(242, 200, 84),
        RGBColor(34, 124, 196),
        RGBColor(145, 152, 161),
    ],
    heat: [
        RGBColor(26, 32, 42),
        RGBColor(20, 66, 110),
        RGBColor(34, 120, 186),
        RGBColor(120, 190, 240),
        RGBColor(240, 250, 255),
    ],
};

impl Theme {
    /// The colour at `t` in [0, 1] between nothing and everything.
    pub fn heat(&self, t: f64) -> RGBColor {
        let position = t.clamp(0.0, 1.0) * (self.heat.len() - 1) as f64;
        let first = (position as usize).min(self.heat.len() - 2);
        mix(self.heat[first], self.heat[first + 1], position - first as f64)
    }
}

fn mix(from: RGBColor, to: RGBColor, t: f64) -> RGBColor {
    let channel = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * t).round() as u8;
    RGBColor(channel(from.0, to.0), channel(from.1, to.1), channel(from.2, to.2))
}

/// How large text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The picture's title, bold.
    Title,
    /// The title of a panel, bold.
    Heading,
    /// Everything that is to be read.
    Text,
    /// Ticks and captions.
    Small,
}

impl Size {
    /// In pixels.
    pub(super) fn pixels(self) -> f64 {
        match self {
            Self::Title => 17.0,
            Self::Heading => 13.5,
            Self::Text => 13.0,
            Self::Small => 12.0,
        }
    }

    /// The width of a text, in pixels; 0 where the font is not known to plotters.
    pub fn width(self, text: &str) -> f64 {
        if register_fonts().is_err() {
            return 0.0;
        }
        let size = (FAMILY, self.pixels(), self.style()).into_font().box_size(text);
        size.map_or(0.0, |(width, _)| WIDER * f64::from(width))
    }

    pub(super) fn style(self) -> FontStyle {
        match self {
            Self::Title | Self::Heading => FontStyle::Bold,
            Self::Text | Self::Small => FontStyle::Normal,
        }
    }
}

/// Makes the font known to plotters, once.
pub(super) fn register_fonts() -> Result<(), &'static str> {
    static REGISTERED: OnceLock<Result<(), &'static str>> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        let fonts = [
            (FontStyle::Normal, notosans::REGULAR_TTF, "Noto Sans"),
            (FontStyle::Bold, notosans::BOLD_TTF, "Noto Sans Bold"),
        ];
        fonts
            .into_iter()
            .try_for_each(|(style, bytes, name)| register_font(FAMILY, style, bytes).map_err(|_| name))
    })
}
