//! The program `heads`: layers from files, a report on stdout, JSON and a picture where they are wanted.
//!
//! ```text
//! cargo run --release -p heads -- --input layer04.safetensors layer13.safetensors --picture heads.png
//! ```

mod args;

use args::Args;
use clap::Parser;
use heads::Report;
use kit::{
    canvas,
    input::{self, Qk, Typed},
    progress::Progress,
};
use proxyattn::AsView;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// A failure ends the program with its message, on one line.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let print = |output: String| Ok(std::io::stdout().write_all(output.as_bytes())?);
    match run(&Args::parse()).and_then(print) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the arguments say and returns what is to be printed on stdout.
fn run(args: &Args) -> Result<String> {
    let mut report = Report::new(args.options())?.watched(Progress::visible());
    for path in &args.input {
        add(&mut report, path).map_err(|error| format!("--input {}: {error}", path.display()))?;
    }
    let mut output = report.text()?;
    if let Some(path) = &args.json {
        save(&report, path).map_err(|error| format!("--json {}: {error}", path.display()))?;
        output += &format!("  {:<10}{}\n", "json", path.display());
    }
    if let Some(path) = &args.picture {
        canvas::save(&report.picture()?, path)
            .map_err(|error| format!("--picture {}: {error}", path.display()))?;
        output += &format!("  {:<10}{}\n", "picture", path.display());
    }
    Ok(output)
}

fn add(report: &mut Report, path: &Path) -> Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    match input::read_qk(path)? {
        Typed::Bf16(Qk { q, k }) => report.add_layer(&name, q.as_view(), k.as_view())?,
        Typed::F16(Qk { q, k }) => report.add_layer(&name, q.as_view(), k.as_view())?,
    };
    Ok(())
}

fn save(report: &Report, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, format!("{}\n", report.json()?))?)
}
