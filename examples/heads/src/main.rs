//! The program `heads`: layers from files, a report on stdout, optionally JSON and a picture.
//!
//! ```text
//! cargo run --release -p heads -- --input layer04.safetensors layer13.safetensors --picture heads.svg
//! ```

use clap::Parser;
use heads::{Flags, Report};
use kit::{
    input::{self, Qk, Typed},
    progress::Progress,
};
use proxyattn::AsView;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A failure ends the program with its message, on one line.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Measures how similar the heads of a model are, and recommends the number of proxy heads.
#[derive(Clone, Debug, Parser)]
#[command(name = "heads", max_term_width = 110)]
struct Args {
    /// Layers: safetensors with `q` [1, heads, tokens, dim] and `k` (as many heads or fewer), bf16 or f16, rotary
    /// embedding applied
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    input: Vec<PathBuf>,

    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    kit::program::print(run(&Args::parse()))
}

/// Runs the program and returns the text for stdout.
fn run(args: &Args) -> Result<String> {
    let mut report = args.flags.report()?.watched(Progress::visible());
    for path in &args.input {
        add(&mut report, path).map_err(|error| format!("--input {}: {error}", path.display()))?;
    }
    args.flags.finish(&report)
}

fn add(report: &mut Report, path: &Path) -> Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    match input::read_qk(path)? {
        Typed::Bf16(Qk { q, k }) => report.add_layer(&name, q.as_view(), k.as_view())?,
        Typed::F16(Qk { q, k }) => report.add_layer(&name, q.as_view(), k.as_view())?,
    };
    Ok(())
}
