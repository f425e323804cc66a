//! Pictures: one theme, one set of axes and marks, drawn by plotters as SVG or PNG.
//!
//! A [`Picture`] says how large it is and draws itself on a [`Page`], in pixels of a screen. [`save`] chooses the format by
//! the file's name; PNGs have two pixels for each, so that they are sharp on any screen.

mod answers;
mod axes;
mod heads;
mod legend;
mod matrix;
mod page;
mod theme;

pub use answers::{Answers, Panel, Point};
pub use axes::{Axis, Plot};
pub use heads::{HeadTiles, OneHead};
pub use legend::{Sample, legend_height};
pub use matrix::{Matrix, Scale};
pub use page::{Align, Drawn, Mark, Page};
pub use plotters::prelude::{DrawingBackend, RGBColor};
pub use theme::{DARK, LIGHT, Size, Theme};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageError, RgbImage};
use plotters::prelude::*;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The width of a picture in a page of the documentation, in pixels.
pub const WIDTH: u32 = 830;

/// Pixels of a PNG for each pixel of the page.
const DENSITY: u32 = 2;

/// Something to look at.
pub trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> [u32; 2];

    /// Draws itself on a page of that size.
    ///
    /// # Errors
    /// What the backend reports.
    fn draw<B: DrawingBackend>(&self, page: &Page<'_, B>) -> Drawn<B>;
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file whose name does not end in a format that can be drawn.
    #[error("expected a file name that ends in .svg or .png")]
    Format,
    /// The library could not draw it.
    #[error("could not be drawn: {0}")]
    Draw(String),
    /// The pixels could not be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Draws a picture to a file, `.svg` or `.png`, and makes the folder that it lies in.
///
/// # Errors
/// [`Error::Format`] for other names; and where the picture cannot be drawn or the file not be written.
pub fn save(picture: &impl Picture, theme: &Theme, path: &Path) -> Result<(), Error> {
    let format = path.extension().and_then(|extension| extension.to_str());
    let encoded = match format.map(str::to_ascii_lowercase).as_deref() {
        Some("svg") => svg(picture, theme)?.into_bytes(),
        Some("png") => Vec::new(),
        _ => return Err(Error::Format),
    };
    let pixels = if encoded.is_empty() { Some(pixels(picture, theme)?) } else { None };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match pixels {
        None => fs::write(path, encoded)?,
        Some(pixels) => {
            let file = File::create(path)?;
            let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
            pixels.write_with_encoder(encoder)?;
        }
    }
    Ok(())
}

/// The file of a picture as a command line names it: for a flag's parser, so that a mistake is told before anything runs.
///
/// # Errors
/// A name that does not end in `.svg` or `.png`, and a folder that is not there.
pub fn file(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    let format = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    if !matches!(format.as_deref(), Some("svg" | "png")) {
        return Err(Error::Format.to_string());
    }
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() || folder.is_dir() => Ok(path),
        folder => Err(format!("there is no folder `{}`", folder.unwrap_or(&path).display())),
    }
}

/// A picture as the text of an SVG file.
///
/// # Errors
/// [`Error::Draw`] where the library cannot draw it.
pub fn svg(picture: &impl Picture, theme: &Theme) -> Result<String, Error> {
    let [width, height] = picture.size();
    let mut text = String::new();
    draw(picture, theme, SVGBackend::with_string(&mut text, (width, height)), 1)?;
    text.push('\n');
    Ok(text)
}

/// A picture as pixels, two for each pixel of the page in either direction.
///
/// # Errors
/// [`Error::Draw`] where the library cannot draw it.
pub fn pixels(picture: &impl Picture, theme: &Theme) -> Result<RgbImage, Error> {
    let [width, height] = picture.size().map(|pixels| pixels * DENSITY);
    let mut pixels = RgbImage::new(width, height);
    draw(picture, theme, BitMapBackend::with_buffer(&mut pixels, (width, height)), DENSITY)?;
    Ok(pixels)
}

fn draw<B: DrawingBackend>(
    picture: &impl Picture,
    theme: &Theme,
    backend: B,
    density: u32,
) -> Result<(), Error> {
    theme::register_fonts().map_err(|font| Error::Draw(format!("{font} is no font")))?;
    let failed = |error: DrawingAreaErrorKind<B::ErrorType>| Error::Draw(error.to_string());
    let page = Page::new(backend.into_drawing_area(), theme, density);
    page.clear().map_err(failed)?;
    picture.draw(&page).map_err(failed)?;
    page.present().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text, and a square of four tiles of which three are there.
    struct Small;

    impl Picture for Small {
        fn size(&self) -> [u32; 2] {
            [60, 40]
        }

        fn draw<B: DrawingBackend>(&self, page: &Page<'_, B>) -> Drawn<B> {
            page.text([30.0, 10.0], Align::Center, Size::Small, page.theme.ink, "γ × 2")?;
            let colour = |row, column| (column <= row).then_some(page.theme.series[0]);
            Matrix { tiles: [2, 2], colour }.draw(page, [4.0, 20.0], 16.0)
        }
    }

    #[test]
    fn a_picture_is_text_in_svg_and_two_pixels_for_one_in_png() {
        let text = svg(&Small, &LIGHT).unwrap();
        assert!(text.starts_with("<svg width=\"60\" height=\"40\"") && text.contains("\nγ × 2\n"), "{text}");
        assert_eq!(text, svg(&Small, &LIGHT).unwrap());
        assert_ne!(text, svg(&Small, &DARK).unwrap());
        let pixels = pixels(&Small, &LIGHT).unwrap();
        assert_eq!([pixels.width(), pixels.height()], [120, 80]);
        let RGBColor(red, green, blue) = LIGHT.series[0];
        let tiles = pixels.pixels().filter(|pixel| pixel.0 == [red, green, blue]).count();
        assert_eq!(tiles, 3 * 16 * 16);
    }

    #[test]
    fn other_formats_are_refused_before_a_file_is_made() {
        let path = std::env::temp_dir().join("proxyattn-no-such-folder/picture.jpg");
        let error = save(&Small, &LIGHT, &path).unwrap_err();
        assert_eq!(error.to_string(), "expected a file name that ends in .svg or .png");
        assert!(!path.parent().unwrap().exists());
    }
}
