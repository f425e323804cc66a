//! The `proxyattn` command line.
//!
//! ```text
//! args.rs ─▶ doctor                       what this machine can do
//!            configuration.rs ─▶ expand   the CUDA text of a configuration
//!                                inspect  its plan, kernels and buffers for a shape
//!                                compile  its cubins, ahead of time
//!                                tune     its fastest tiles on this GPU
//!                                bench    its stages, compared with dense attention
//!            cache                        the cached cubins and tuning records
//! ```
//!
//! A command returns the text to print, or a [`Failure`](failure::Failure) with its exit code.

mod args;
mod bench;
mod cache;
mod compile;
mod configuration;
mod doctor;
mod expand;
mod failure;
mod highlight;
mod inspect;
mod progress;
mod style;
mod table;
mod text;
mod tune;
mod usage;
mod values;
mod warnings;
mod width;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use failure::{DONE, Outcome, Report};
use proxyattn_runtime::jit::Env;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use usage::Said;
use width::Width;

fn main() -> ExitCode {
    let (printed, code) = match Args::try_parse().map_err(usage::refused).map(|args| run(args.command)) {
        Ok(Ok(Report { text, code })) => (write(&mut anstream::stdout(), &text), code),
        Ok(Err(failure)) => (fail(&failure.to_string()), failure.code),
        Err(Said { text, code: DONE }) => {
            (write(&mut anstream::stdout(), &Width::stdout().fit(&text, 2)), DONE)
        }
        Err(Said { text, code }) => (fail(&text), code),
    };
    match printed {
        // The reader closed the pipe, as `head` does.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::from(code),
    }
}

fn run(command: Command) -> Outcome {
    match command {
        // `doctor` reports every problem itself; the other two need neither environment nor device.
        Command::Doctor(_) | Command::Expand(_) | Command::Completions { .. } => {}
        _ => {
            Env::process().check()?;
            warnings::print();
        }
    }
    match command {
        Command::Doctor(args) => doctor::run(&args),
        Command::Expand(args) => expand::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Cache(args) => cache::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "proxyattn", &mut script);
            Ok(String::from_utf8_lossy(&script).into_owned().into())
        }
    }
}

/// Says on stderr why there is no result.
fn fail(text: &str) -> std::io::Result<()> {
    write(&mut anstream::stderr(), &Width::stderr().fit(text, 2))
}

fn write(stream: &mut impl Write, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}
