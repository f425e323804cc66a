//! Pixels and colours.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageResult, Rgb, RgbImage};
use std::fs::{self, File};
use std::path::Path;

/// Red, green and blue.
pub type Colour = [u8; 3];

/// The colours of every page: what lies behind, and three weights of text.
pub const PAGE: Colour = [13, 16, 25];
/// Titles.
pub const BRIGHT: Colour = [236, 239, 246];
/// Text.
pub const PLAIN: Colour = [176, 184, 202];
/// What is said in passing.
pub const DIM: Colour = [122, 131, 153];
/// Behind what is drawn.
pub const GROUND: Colour = [22, 26, 38];
/// Dark to bright, with lightness rising evenly.
pub const HEAT: [Colour; 6] =
    [[22, 22, 44], [74, 22, 98], [150, 38, 104], [222, 82, 66], [250, 164, 60], [253, 246, 190]];

/// An image that is drawn on; what falls outside is cut.
#[derive(Debug)]
pub struct Canvas(RgbImage);

impl Canvas {
    /// A canvas of `[width, height]` in one colour.
    pub fn new([width, height]: [u32; 2], colour: Colour) -> Self {
        Self(RgbImage::from_pixel(width, height, Rgb(colour)))
    }

    /// Fills the rectangle whose upper left corner is `[x, y]`.
    pub fn fill(&mut self, [x, y]: [u32; 2], [width, height]: [u32; 2], colour: Colour) {
        for y in y..(y + height).min(self.0.height()) {
            for x in x..(x + width).min(self.0.width()) {
                self.0.put_pixel(x, y, Rgb(colour));
            }
        }
    }

    /// A line from one point to another, `width` pixels wide, with soft edges and round ends.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], width: f32, colour: Colour) {
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = along[0] * along[0] + along[1] * along[1];
        let reach = width / 2.0 + 1.0;
        let span = |axis: usize, limit: u32| {
            let (low, high) = (from[axis].min(to[axis]) - reach, from[axis].max(to[axis]) + reach);
            low.max(0.0) as u32..(high.max(0.0) as u32 + 1).min(limit)
        };
        for y in span(1, self.0.height()) {
            for x in span(0, self.0.width()) {
                let [dx, dy] = [x as f32 + 0.5 - from[0], y as f32 + 0.5 - from[1]];
                let t = ((dx * along[0] + dy * along[1]) / length.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
                let distance = (dx - t * along[0]).hypot(dy - t * along[1]);
                let pixel = self.0.get_pixel_mut(x, y);
                pixel.0 = mix(pixel.0, colour, width / 2.0 + 0.5 - distance);
            }
        }
    }

    /// The image.
    pub fn into_image(self) -> RgbImage {
        self.0
    }
}

/// The colour at `t` in [0, 1] between two.
pub fn mix(from: Colour, to: Colour, t: f32) -> Colour {
    let t = t.clamp(0.0, 1.0);
    core::array::from_fn(|i| (f32::from(from[i]) + (f32::from(to[i]) - f32::from(from[i])) * t).round() as u8)
}

/// The colour at `t` in [0, 1] along evenly spaced stops.
pub fn ramp(stops: &[Colour], t: f32) -> Colour {
    let position = t.clamp(0.0, 1.0) * (stops.len() - 1) as f32;
    let first = (position as usize).min(stops.len() - 2);
    mix(stops[first], stops[first + 1], position - first as f32)
}

/// Writes a small PNG, and makes the folder that it lies in.
///
/// # Errors
/// Where the folder or the file cannot be written.
pub fn save(image: &RgbImage, path: &Path) -> ImageResult<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::create(path)?;
    image.write_with_encoder(PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive))
}
