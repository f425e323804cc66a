//! Draws the pictures of the documentation, each in light and dark, from the data that is committed beside it:
//!
//! ```text
//! cargo xtask pictures
//! ```

mod answers;
mod head;
mod lengths;
mod peers;
mod text;

use kit::chart::{self, DARK, LIGHT, Picture, Theme};
use kit::frontier::Frontier;
use kit::program;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A failure ends the program with its message, on one line.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    program::end(run())
}

fn docs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"))
}

fn run() -> Result<()> {
    charts(&mut Save)?;
    Save.picture("one-head.png", &head::Bundled::run()?.picture())
}

/// Does something with each picture, whose name ends in its format.
trait Each {
    fn picture(&mut self, name: &str, picture: &impl Picture) -> Result<()>;
}

/// Every picture that is drawn from figures.
fn charts(each: &mut impl Each) -> Result<()> {
    let accuracy = docs().join("accuracy");
    let performance = docs().join("performance");
    let scores = accuracy.join("h200-2026-11-30-five-seeds.json");
    let times = accuracy.join("h200-2026-11-30-times.json");
    each.picture("answers.svg", &answers::read(&scores, &times)?)?;
    let frontier = accuracy.join("frontier.json");
    if frontier.exists() {
        let picture = json::<Frontier>(&frontier)?.picture();
        each.picture("frontier.svg", &picture.ok_or("frontier.json has no sparse method")?)?;
    }
    let lengths = performance.join("h200-2026-11-30-lengths.json");
    if lengths.exists() {
        each.picture("lengths.svg", &lengths::read(&lengths)?)?;
    }
    each.picture("peers.svg", &peers::read(&performance.join("h200-2026-11-30-new-defaults.json"))?)?;
    let heads = heads::Report::from_json(&read(&accuracy.join("heads-multikey-8192.json"))?)?;
    each.picture("heads.svg", &heads.picture()?)
}

/// Draws a picture to its files, one for each theme.
struct Save;

impl Each for Save {
    fn picture(&mut self, name: &str, picture: &impl Picture) -> Result<()> {
        for theme in [&LIGHT, &DARK] {
            let path = file(name, theme);
            chart::save(picture, theme, &path).map_err(|error| format!("{}: {error}", path.display()))?;
            println!("docs/pictures/{}", path.file_name().unwrap_or_default().display());
        }
        Ok(())
    }
}

/// The file of a picture in a theme: `answers-light.svg`.
fn file(name: &str, theme: &Theme) -> PathBuf {
    docs().join("pictures").join(name.replacen('.', &format!("-{}.", theme.name), 1))
}

fn read(path: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Reads a JSON file.
fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    Ok(serde_json::from_str(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares a picture with its files.
    struct Compare;

    impl Each for Compare {
        fn picture(&mut self, name: &str, picture: &impl Picture) -> Result<()> {
            for theme in [&LIGHT, &DARK] {
                let path = file(name, theme);
                let stored = read(&path)?;
                assert!(
                    stored == chart::svg(picture, theme)?,
                    "{}: its data or its drawing changed; run `cargo xtask pictures`",
                    path.display()
                );
            }
            Ok(())
        }
    }

    #[test]
    fn the_charts_of_the_documentation_are_those_of_its_data() {
        charts(&mut Compare).unwrap();
    }
}
