//! Sparse prefill attention on a real or generated input: the selected blocks, their quality, and the time.
//!
//! ```text
//! cargo run --release --example prefill                      # a generated input of 8192 tokens
//! cargo run --release --example prefill -- --bundled         # a layer of a real model
//! cargo run --release --example prefill -- --synthetic 16384 --similarity 0.3
//! cargo run --release --example prefill -- --input layer.safetensors --budget paper --json
//! ```

mod app;
mod args;
mod compare;
mod kernels;
mod measure;
mod picture;
mod report;

use args::Args;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    kit::program::print(start_threads(&args).and_then(|()| app::run(&args)))
}

fn start_threads(args: &Args) -> app::Result<()> {
    let threads = args.threads.map_or(0, usize::from); // 0 is rayon's word for all
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?)
}
