//! Chores of the repository, as `cargo xtask CHORE`. Everything they install goes into `target/`.

mod bench;
mod buildtime;
mod candle;
mod kernels;
mod model;
mod run;
mod test;
mod transcripts;
mod wheel;

use run::Outcome;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test                 everything that must pass: formatting, lints, documentation, tests
cargo xtask package              packages every publishable member and builds it from its package
cargo xtask kernels [--check] [--candidates]
                                 compiles the kernels of many configurations, with NVIDIA's compiler from its
                                 Python wheel, and prints registers, spills, shared memory and code size;
                                 --candidates also those with every tiles that a tuner may choose (minutes)
cargo xtask transcripts          runs every subcommand of `proxyattn` without a GPU, and writes docs/cli.md
cargo xtask candle-cuda [--gpu]  lints and tests the code of proxyattn-candle for GPUs, without a CUDA toolkit: under a
                                 stub driver, or on the machine's GPU
cargo xtask model                fetches the model of `-p smollm2` (93 MB, a Python wheel) into target/ and checks it
cargo xtask build-time           clean builds of the macro's crates against syn + quote + proc-macro2
cargo xtask bench-cpu [OPTIONS]  CPU prefill beside PyTorch, which is installed into target/ first;
                                 OPTIONS are those of `cargo bench --bench prefill -- …`";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let chore = args.next();
    let rest: Vec<_> = args.collect();
    let outcome = match chore.as_deref() {
        Some("test") => test::all(),
        Some("package") => test::package(),
        Some("kernels") => kernels::run(&rest),
        Some("transcripts") => transcripts::write(),
        Some("candle-cuda") => candle::cuda(&rest),
        Some("model") => model::fetch(),
        Some("build-time") => buildtime::measure(),
        Some("bench-cpu") => bench::cpu(&rest),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(format!("unknown chore `{other}`\n\n{USAGE}")),
        None => Err(format!("expected a chore\n\n{USAGE}")),
    };
    finish(outcome)
}

fn finish(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
