//! The command line.

use super::kernels::Budget;
use clap::{Parser, builder::PossibleValuesParser, builder::TypedValueParser};
use kit::{chart, input::HEAD_DIMS};
use std::path::PathBuf;

/// The attention inputs that come with the repository.
pub(super) const BUNDLED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/smollm2-layer13-4096.safetensors");

/// Where the picture goes if no file is named.
pub(super) const PICTURE: &str = "target/prefill.png";

/// What describes the generated input.
const GENERATED: [&str; 6] = ["synthetic", "heads", "kv_heads", "head_dim", "similarity", "seed"];

/// Runs sparse prefill attention, compares it with dense attention, and draws the selected blocks.
///
/// Without arguments it runs on a generated input of 8192 tokens in which heads differ as in a trained model. Random tensors
/// would show nothing: no block matters more than another there, so that most have to be visited.
#[derive(Clone, Debug, Parser)]
#[command(name = "prefill", max_term_width = 110)]
pub(super) struct Args {
    /// Read `q`, `k`, `v` [batch, heads, tokens, dim], bf16 or f16, rotary embedding applied, from safetensors
    #[arg(long, value_name = "FILE", conflicts_with_all = GENERATED)]
    pub(super) input: Option<PathBuf>,

    /// Read the attention inputs of a real model that come with the repository (SmolLM2-135M, layer 13, 4096 tokens)
    #[arg(long, conflicts_with = "input", conflicts_with_all = GENERATED)]
    pub(super) bundled: bool,

    /// Generate an input of N tokens: topics, a sink, recency and planted needles
    #[arg(long, value_name = "N", default_value_t = 8192)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub(super) synthetic: u32,

    /// Query heads of the generated input
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) heads: u32,

    /// Key/value heads of the generated input; divides --heads
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) kv_heads: u32,

    /// Head width of the generated input
    #[arg(long, value_name = "D", default_value = "64", value_parser = head_dim())]
    pub(super) head_dim: usize,

    /// Similarity of the heads in the generated input: 0 (all attend to different tokens) to 1 (all to the same)
    #[arg(long, value_name = "0..1", default_value_t = 0.95, value_parser = similarity)]
    pub(super) similarity: f64,

    /// Seed of the generated input
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,

    /// Which of the compiled kernels to run
    #[arg(long, value_enum, default_value_t = Budget::Default)]
    pub(super) budget: Budget,

    /// Number of threads [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,

    /// Print one JSON object and nothing else
    #[arg(long)]
    pub(super) json: bool,

    /// SVG or PNG file for the picture of true attention mass next to the selected blocks
    /// [default: target/prefill.png]
    #[arg(long, value_name = "FILE.png", value_parser = chart::file, conflicts_with = "no_picture")]
    pub(super) picture: Option<PathBuf>,

    /// Do not draw a picture
    #[arg(long)]
    pub(super) no_picture: bool,
}

fn head_dim() -> impl TypedValueParser<Value = usize> {
    PossibleValuesParser::new(HEAD_DIMS.map(|dim| &*dim.to_string().leak()))
        .try_map(|dim| dim.parse::<usize>())
}

fn similarity(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1".into()),
    }
}
