//! Similarity of the heads of a real model on a context, measured layer by layer while the model reads it.
//!
//! ```text
//! cargo xtask model
//! cargo run --release -p smollm2 --bin similarity -- --file README.md --tokens 4096 --picture heads.svg
//! cargo run --release -p smollm2 --bin similarity -- --data DIR --tokens 8192 --task multikey --json heads.json
//! ```

mod listener;

use clap::Parser;
use heads::Flags;
use kit::TokenCount;
use listener::Listener;
use smollm2::eval::EvalSet;
use smollm2::{Method, Tokenizer, bar, load, runner};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// A failure ends the program with its message, on one line.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Measures how similar the model's heads are on a context, layer by layer, and recommends the number of proxy heads.
///
/// The model uses full attention, so that the result does not depend on a selection.
#[derive(Debug, Parser)]
#[command(name = "similarity", max_term_width = 110)]
struct Args {
    /// Text file to read
    #[arg(long, value_name = "FILE", required_unless_present = "data", conflicts_with_all = ["data", "task", "context"])]
    file: Option<PathBuf>,

    /// Directory of evaluation sets; one of their contexts is read
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The task of the context
    #[arg(long, value_name = "NAME", default_value = "multikey", requires = "data")]
    task: String,

    /// Index of the context within the task
    #[arg(long, value_name = "N", default_value_t = 0, requires = "data")]
    context: usize,

    /// Number of tokens to read, such as 8192 or 8K; a shorter text is repeated
    #[arg(long, value_name = "N", default_value = "4096", allow_negative_numbers = true)]
    tokens: TokenCount,

    /// Measure only these layers, comma-separated
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    layers: Vec<usize>,

    /// Model: a GGUF file of the Llama architecture [default: the one downloaded by `cargo xtask model`]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// Low-rank adapters: a directory with config.json and lora-*.safetensors
    #[arg(long, value_name = "DIR")]
    adapters: Option<PathBuf>,

    /// Device: cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,

    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    kit::program::print(run(&Args::parse()))
}

/// Runs the program and returns the text for stdout.
fn run(args: &Args) -> Result<String> {
    let report = args.flags.report()?;
    let progress = bar("loading");
    let (weights, tokenizer) = load(args.model.as_deref(), args.adapters.as_deref(), &mut |tensors| {
        progress.set_length(tensors as u64);
        progress.inc(1);
    })?;
    let layers = weights.config.layers;
    if let Some(layer) = args.layers.iter().find(|&&layer| layer >= layers) {
        return Err(format!("--layers: expected layers below the model's {layers}, got {layer}").into());
    }
    let context = context(args, &tokenizer)?;
    let method = Method::full(&weights.config);
    let mut runner = runner(&args.device, Arc::new(weights), context.len())?;
    progress.reset();
    progress.set_message("layers");
    progress.set_length(layers as u64);
    let mut listener = Listener { wanted: &args.layers, report, failed: None, progress };
    runner.step(&context, &method, 0..0, &mut listener)?;
    listener.progress.finish_and_clear();
    match listener.failed {
        Some(error) => Err(error.into()),
        None => args.flags.finish(&listener.report),
    }
}

/// The tokens that are read.
fn context(args: &Args, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let Some(directory) = &args.data else {
        let path = args.file.as_deref().unwrap_or(std::path::Path::new(""));
        let refuse = |why: String| format!("--file {}: {why}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        let tokens = tokenizer.encode(&text)?;
        if tokens.is_empty() {
            return Err(refuse("expected a text, got an empty file".into()).into());
        }
        return Ok(tokens.into_iter().cycle().take(args.tokens.get()).collect());
    };
    let mut contexts = EvalSet::read(directory, args.tokens.get())?.contexts;
    contexts.retain(|context| context.task == args.task);
    let found = contexts.len();
    match contexts.into_iter().nth(args.context) {
        Some(context) => Ok(context.tokens),
        None => Err(format!(
            "--context: expected one of the {found} contexts of `{}` with {} tokens, got {}",
            args.task, args.tokens, args.context
        )
        .into()),
    }
}
