//! From arguments to output: load, measure, draw, report.

use super::{
    args::{Args, BUNDLED},
    measure::measure,
    picture, report,
    synthetic::{self, Needle, Synthetic},
};
use kit::{
    chart::{self, LIGHT},
    input::{self, Input},
};
use proxyattn::Device;
use std::{error::Error, path::Path};

/// A failure ends the program with its message, on one line.
pub(super) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Does what the arguments say and returns what is to be printed on stdout.
pub(super) fn run(args: &Args) -> Result<String> {
    let Source { input, needles, name } = load(args)?;
    let device = Device::auto();
    let outcome = match &input {
        Input::Bf16(input) => measure(input, &needles, args.budget, &device)?,
        Input::F16(input) => measure(input, &needles, args.budget, &device)?,
    };
    let picture = (!args.no_picture).then_some(args.picture.as_path());
    if let Some(path) = picture {
        chart::save(&picture::Tiles::new(&outcome).picture(&name), &LIGHT, path)
            .map_err(|error| format!("--picture {}: {error}", path.display()))?;
    }
    Ok(match (args.json, picture) {
        (true, _) => format!("{}\n", report::json(&outcome, &name)),
        (false, None) => report::text(&outcome, &name),
        (false, Some(path)) => {
            format!("{}\n  {:<10}{}\n", report::text(&outcome, &name), "picture", path.display())
        }
    })
}

/// An input, and what is known about it.
struct Source {
    input: Input,
    needles: Vec<Needle>,
    name: String,
}

fn load(args: &Args) -> Result<Source> {
    if let Some(tokens) = args.synthetic {
        return generate(args, tokens as usize);
    }
    let (path, name) = match &args.input {
        Some(path) => (path.as_path(), path.file_name().unwrap_or_default().display().to_string()),
        None => (Path::new(BUNDLED), "SmolLM2-135M, layer 13, a retrieval context".into()),
    };
    let input = input::read(path).map_err(|error| format!("--input {}: {error}", path.display()))?;
    Ok(Source { input, needles: Vec::new(), name })
}

fn generate(args: &Args, tokens: usize) -> Result<Source> {
    let (heads, kv_heads) = (args.heads as usize, args.kv_heads as usize);
    if !heads.is_multiple_of(kv_heads) {
        return Err(format!("--kv-heads: expected a divisor of --heads {heads}, got {kv_heads}").into());
    }
    let config = Synthetic {
        tokens,
        heads,
        kv_heads,
        head_dim: args.head_dim,
        similarity: args.similarity,
        seed: args.seed,
    };
    let (input, needles) = synthetic::generate(config)?;
    let name = format!("synthetic, seed {}, head similarity {}", args.seed, args.similarity);
    Ok(Source { input: Input::Bf16(input), needles, name })
}
