//! The `proxyattn` command line.
//!
//! ```text
//! args.rs ─▶ doctor                   what this machine can do
//!            attribute.rs ─▶ expand   the CUDA text of a configuration
//!                            inspect  its plan, kernels and buffers for a shape
//!                            compile  its cubins, ahead of time
//!                            tune     its fastest tiles on this GPU
//!                            bench    its stages, compared with dense attention
//!            cache                    the cached cubins and tuning records
//! ```
//!
//! A command returns the text to print, or a [`Failure`](failure::Failure) with its exit code.

mod args;
mod attribute;
mod bench;
mod cache;
mod compile;
mod doctor;
mod expand;
mod failure;
mod highlight;
mod inspect;
mod progress;
mod style;
mod text;
mod tune;
mod warnings;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use failure::{Outcome, Report};
use proxyattn_runtime::jit::Env;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let (printed, code) = match run(Args::parse().command) {
        Ok(Report { text, code }) => (write(&mut anstream::stdout(), &text), code),
        Err(failure) => (write(&mut anstream::stderr(), &failure.to_string()), failure.code),
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
        Command::Doctor | Command::Expand(_) | Command::Completions { .. } => {}
        _ => {
            Env::process().check()?;
            warnings::print();
        }
    }
    match command {
        Command::Doctor => doctor::run(),
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

fn write(stream: &mut impl Write, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}
