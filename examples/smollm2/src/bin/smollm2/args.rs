//! The command line.

use clap::Parser;
use kit::TokenCount;
use std::num::NonZero;
use std::path::PathBuf;

/// Answers a prompt with SmolLM2-135M, and prints the time to the first token and the share of attention that was visited.
#[derive(Debug, Parser)]
#[command(name = "smollm2", max_term_width = 110)]
pub(crate) struct Args {
    /// The question
    #[arg(default_value = "The capital of France is")]
    pub(crate) prompt: String,

    /// Text file to read before the question
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Read exactly this many tokens of the file, such as 32768 or 32K, repeating it if it is shorter
    #[arg(long, value_name = "N", requires = "file", allow_negative_numbers = true)]
    pub(crate) tokens: Option<TokenCount>,

    /// Configurations for the prompt, separated by `;`: `full`, `default`, or the arguments of `#[proxy_attention(…)]`
    #[arg(long, value_name = "LIST", default_value = "default")]
    pub(crate) configuration: String,

    /// Continue the raw text instead of answering it as a chat message
    #[arg(long)]
    pub(crate) raw: bool,

    /// Maximum number of tokens in the answer
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) limit: usize,

    /// Model: a GGUF file of the Llama architecture [default: the one downloaded by `cargo xtask model`]
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,

    /// Low-rank adapters: a directory with config.json and lora-*.safetensors
    #[arg(long, value_name = "DIR")]
    pub(crate) adapters: Option<PathBuf>,

    /// Device: cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,

    /// Number of runs per configuration; the fastest is reported
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) rounds: NonZero<usize>,

    /// Print one JSON object instead of a report
    #[arg(long)]
    pub(crate) json: bool,
}
