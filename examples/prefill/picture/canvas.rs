//! Pixels and colours.

use image::{Rgb, RgbImage};

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

/// An image that is drawn on; what falls outside is cut.
pub(super) struct Canvas(RgbImage);

impl Canvas {
    pub(super) fn new([width, height]: [u32; 2], colour: Colour) -> Self {
        Self(RgbImage::from_pixel(width, height, Rgb(colour)))
    }

    pub(super) fn fill(&mut self, [x, y]: [u32; 2], [width, height]: [u32; 2], colour: Colour) {
        for y in y..(y + height).min(self.0.height()) {
            for x in x..(x + width).min(self.0.width()) {
                self.0.put_pixel(x, y, Rgb(colour));
            }
        }
    }

    pub(super) fn into_image(self) -> RgbImage {
        self.0
    }
}

/// The colour at `t` in [0, 1] between two.
pub(super) fn mix(from: Colour, to: Colour, t: f32) -> Colour {
    let t = t.clamp(0.0, 1.0);
    core::array::from_fn(|i| (f32::from(from[i]) + (f32::from(to[i]) - f32::from(from[i])) * t).round() as u8)
}

/// The colour at `t` in [0, 1] along evenly spaced stops.
pub(super) fn ramp(stops: &[Colour], t: f32) -> Colour {
    let position = t.clamp(0.0, 1.0) * (stops.len() - 1) as f32;
    let first = (position as usize).min(stops.len() - 2);
    mix(stops[first], stops[first + 1], position - first as f32)
}
