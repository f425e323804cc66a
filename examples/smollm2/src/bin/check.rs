//! Compares a GPU with the CPU on the real model: every layer's queries, keys and values, and the next tokens.

use clap::Parser;
use kit::TokenCount;
use smollm2::{Comparison, Error, Method, Result, compare, load, runner};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// bf16 has eight bits of precision, and rounding errors accumulate over thirty layers.
const TOLERANCE: f64 = 0.05;

/// Compares a GPU with the CPU, layer by layer: a prompt in one step, a chunk on top of it, and single tokens.
#[derive(Debug, Parser)]
#[command(name = "check")]
struct Args {
    /// Number of prompt tokens; a chunk of a quarter as many follows
    #[arg(long, value_name = "N", default_value = "1024", allow_negative_numbers = true)]
    tokens: TokenCount,

    /// Configuration: `full`, `default`, or the arguments of `#[proxy_attention(…)]`
    #[arg(long, default_value = "full")]
    configuration: String,

    /// Model: a GGUF file of the Llama architecture [default: the one downloaded by `cargo xtask model`]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// Low-rank adapters: a directory with config.json and lora-*.safetensors
    #[arg(long, value_name = "DIR")]
    adapters: Option<PathBuf>,

    /// Device to compare with the CPU: cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cuda")]
    device: String,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, Error::Argument { .. }) { 2 } else { 1 })
        }
    }
}

/// Whether the GPU's results agree within its precision.
fn run(args: &Args) -> Result<bool> {
    let (weights, tokenizer) = load(args.model.as_deref(), args.adapters.as_deref(), &mut |_| ())?;
    let weights = Arc::new(weights);
    let method = Method::parse(&args.configuration, &weights.config)?;
    let full = Method::full(&weights.config);
    let prompt = args.tokens.get();
    if prompt < 4 {
        return Err(Error::argument(
            "--tokens",
            "at least 4, of which a quarter is the chunk",
            prompt.to_string(),
        ));
    }
    let steps = [(prompt, &method), (prompt / 4, &method), (1, &full), (1, &full)];
    let total = steps.iter().map(|(tokens, _)| tokens).sum();

    let text = tokenizer.encode(TEXT)?;
    let tokens: Vec<u32> = text.iter().copied().cycle().take(total).collect();
    let mut cpu = runner("cpu", weights.clone(), total)?;
    let mut gpu = runner(&args.device, weights, total)?;
    println!("{}\n{}", cpu.device(), gpu.device());

    let mut near = true;
    let mut rest = tokens.as_slice();
    for (count, method) in steps {
        let (now, later) = rest.split_at(count);
        rest = later;
        println!("\n{count} tokens after {}, {method}", gpu.cached());
        let comparison = compare(&mut *cpu, &mut *gpu, now, method)?;
        report(&comparison);
        near &= comparison.worst() < TOLERANCE && comparison.agreed * 10 >= comparison.asked * 9;
    }
    println!("\n{}", if near { "as near as bf16 allows" } else { "too far apart" });
    Ok(near)
}

fn report(comparison: &Comparison) {
    println!("  layer         q         k         v");
    for (layer, [q, k, v]) in comparison.layers.iter().enumerate() {
        println!("  {layer:>5}  {q:>8.5}  {k:>8.5}  {v:>8.5}");
    }
    println!("  the same next token after {} of {}", comparison.agreed, comparison.asked);
}

/// Something to read.
const TEXT: &str = "A prefill reads the whole prompt at once, and every token looks at all that came before it. \
    Most of what it looks at hardly matters. ";
