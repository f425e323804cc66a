//! From arguments to output: load, measure, draw, report.

use super::{
    args::{Args, BUNDLED, PICTURE},
    measure::measure,
    picture, report,
};
use kit::{
    chart::{self, LIGHT},
    input::{self, Input, Qkv},
};
use proxyattn::Device;
use proxyattn::synthetic::{Inputs, Needle, Synthetic};
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
    let picture = (!args.no_picture).then(|| args.picture.as_deref().unwrap_or(Path::new(PICTURE)));
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
    let (flag, path, name) = match &args.input {
        Some(path) => ("--input", path.as_path(), path.file_name().unwrap_or_default().display().to_string()),
        None if args.bundled => {
            ("--bundled", Path::new(BUNDLED), "SmolLM2-135M, layer 13, a retrieval context".into())
        }
        None => return generate(args),
    };
    let input = input::read(path).map_err(|error| format!("{flag} {}: {error}", path.display()))?;
    Ok(Source { input, needles: Vec::new(), name })
}

fn generate(args: &Args) -> Result<Source> {
    let (heads, kv_heads) = (args.heads as usize, args.kv_heads as usize);
    if !heads.is_multiple_of(kv_heads) {
        return Err(format!("--kv-heads: expected a divisor of --heads {heads}, got {kv_heads}").into());
    }
    let Args { head_dim, similarity, seed, .. } = *args;
    let tokens = args.synthetic as usize;
    let inputs = Synthetic { tokens, heads, kv_heads, head_dim, similarity, seed };
    let Inputs { q, k, v, needles } = inputs.generate()?;
    let name = format!("generated, seed {seed}, head similarity {similarity}");
    Ok(Source { input: Input::Bf16(Qkv { q, k, v }), needles, name })
}
