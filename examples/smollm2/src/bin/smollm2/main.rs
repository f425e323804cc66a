//! A real model that reads its prompt with proxyattn's attention, and answers.
//!
//! ```text
//! cargo xtask model
//! cargo run --release -p smollm2 --bin smollm2 -- "The capital of France is"
//! cargo run --release -p smollm2 --bin smollm2 -- --file README.md --tokens 8000 --configuration "full;default" "What is this?"
//! ```

mod args;
mod report;

use args::Args;
use clap::Parser;
use kit::TokenCount;
use report::{Densities, Run};
use smollm2::{Answer, Error, Method, Result, Runner, Tokenizer, bar, generate, load, methods, runner};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    kit::program::end(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let progress = bar("loading");
    let (weights, tokenizer) = load(args.model.as_deref(), args.adapters.as_deref(), &mut |tensors| {
        progress.set_length(tensors as u64);
        progress.inc(1);
    })?;
    progress.finish_and_clear();
    let methods = methods(&args.configuration, &weights.config)?;
    let prompt = prompt(args, &tokenizer)?;
    let mut runner = runner(&args.device, Arc::new(weights), prompt.len() + args.limit)?;
    let context = runner.config().context;
    if !args.json {
        println!("{} tokens on {}", prompt.len(), runner.device());
        if prompt.len() + args.limit > context {
            println!("The model was made to read {context} tokens: expect nonsense beyond.");
        }
    }
    let runs = methods.iter().map(|method| {
        let run = read(args, &mut *runner, &tokenizer, &prompt, method)?;
        if !args.json {
            println!("{run}");
        }
        Ok(run)
    });
    let runs = runs.collect::<Result<Vec<_>>>()?;
    let report = match args.json {
        true => report::json(&runs, &prompt, &*runner),
        false => report::summary(&runs, &*runner),
    };
    std::io::stdout().write_all(report.as_bytes()).map_err(|error| Error::file("stdout", error))
}

/// Reads the prompt, possibly several times, and answers after the last time.
fn read(
    args: &Args,
    runner: &mut dyn Runner,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    method: &Method,
) -> Result<Run> {
    let progress = bar(&method.to_string());
    progress.set_length((args.rounds.get() * runner.config().layers) as u64);
    let mut densities = Densities::new(runner.config().layers, progress.clone());
    let mut best: Option<Answer> = None;
    for round in 1..=args.rounds.get() {
        runner.truncate(0)?;
        let limit = if round == args.rounds.get() { args.limit } else { 0 };
        densities.clear();
        let mut answer =
            generate(runner, prompt, method, (limit, tokenizer.end()), &mut densities, &mut |_| ())?;
        if let Some(best) = best
            && best.prefill.total() < answer.prefill.total()
        {
            answer.prefill = best.prefill;
        }
        best = Some(answer);
    }
    progress.finish_and_clear();
    let answer = best.unwrap_or_default();
    let text = tokenizer.decode(&answer.tokens)?;
    let why_dense = method.why_dense(runner.config(), prompt.len())?;
    let (method, prompt, densities) = (method.to_string(), prompt.len(), densities.layers());
    Ok(Run { method, prompt, answer, text, densities, why_dense })
}

/// The tokens that are read.
fn prompt(args: &Args, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let (before, after) = match args.raw {
        true => (String::new(), args.prompt.clone()),
        false => ("<|im_start|>user\n".into(), format!("{}<|im_end|>\n<|im_start|>assistant\n", args.prompt)),
    };
    let mut tokens = tokenizer.encode(&before)?;
    if let Some(path) = &args.file {
        let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error).of("--file"))?;
        let text = tokenizer.encode(&format!("{text}\n\n"))?;
        if text.is_empty() {
            return Err(Error::file(path, "has no text").of("--file"));
        }
        let length = args.tokens.map_or(text.len(), TokenCount::get);
        tokens.extend(text.iter().cycle().take(length));
    }
    tokens.extend(tokenizer.encode(&after)?);
    match tokens.is_empty() {
        true => Err(Error::argument("PROMPT", "text", "nothing")),
        false => Ok(tokens),
    }
}
