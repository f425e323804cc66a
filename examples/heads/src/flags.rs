//! The flags that every program with a report has.

use crate::{Options, Report};
use kit::chart::{self, LIGHT};
use std::error::Error;
use std::path::{Path, PathBuf};

/// What is measured, and where it goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// How many more blocks fewer proxies may visit than one per KV head, as a share, under the default budget
    #[arg(long, value_name = "X", default_value_t = Options::default().growth, allow_negative_numbers = true)]
    growth: f64,

    /// For flat budgets: maximum loss of attention mass by sharing a list, at the 95th percentile over rows and heads
    #[arg(long, value_name = "0..1", default_value_t = Options::default().regret, allow_negative_numbers = true)]
    regret: f64,

    /// For flat budgets: share of blocks that a list keeps
    #[arg(long, value_name = "0..1", default_value_t = Options::default().keep, allow_negative_numbers = true)]
    keep: f64,

    /// Number of query-block rows to measure, evenly spaced over the last three quarters of the context
    #[arg(long, value_name = "N", default_value_t = Options::default().rows, allow_negative_numbers = true)]
    rows: usize,

    /// Number of tokens in an overlap
    #[arg(long, value_name = "N", default_value_t = Options::default().top, allow_negative_numbers = true)]
    top: usize,

    /// Number of last tokens before a query that do not count as far
    #[arg(long, value_name = "N", default_value_t = Options::default().window, allow_negative_numbers = true)]
    window: usize,

    /// Factor on q·k [default: 1/√dim]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    scale: Option<f64>,

    /// Write all results to a JSON file
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,

    /// Draw the layers to an SVG or PNG file
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
}

impl Flags {
    /// An empty report of what is asked for.
    ///
    /// # Errors
    /// A message that begins with the flag whose value is out of its range.
    pub fn report(&self) -> Result<Report, Box<dyn Error>> {
        let &Self { keep, growth, regret, rows, top, window, scale, .. } = self;
        let options = Options { keep, growth, regret, rows, top, window, scale };
        Report::new(options).map_err(|error| match error {
            crate::Error::Option { option, expected, got } => {
                format!("--{option}: expected {expected}, got {got}").into()
            }
            other => other.into(),
        })
    }

    /// Writes the requested files, and returns the report for stdout, which lists them.
    ///
    /// # Errors
    /// [`crate::Error::Empty`] without layers, and a message that begins with the flag for a file that cannot be written.
    pub fn finish(&self, report: &Report) -> Result<String, Box<dyn Error>> {
        let mut output = report.text()?;
        if let Some(path) = &self.json {
            save(report, path).map_err(|error| format!("--json {}: {error}", path.display()))?;
            output += &format!("  {:<10}{}\n", "json", path.display());
        }
        if let Some(path) = &self.picture {
            chart::save(&report.picture()?, &LIGHT, path)
                .map_err(|error| format!("--picture {}: {error}", path.display()))?;
            output += &format!("  {:<10}{}\n", "picture", path.display());
        }
        Ok(output)
    }
}

fn save(report: &Report, path: &Path) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, format!("{}\n", report.json()?))?)
}
