//! The command line.

use clap::Parser;
use std::num::NonZero;
use std::path::PathBuf;

/// SmolLM2-135M answers; says how long the first token took, and how much of attention was visited.
#[derive(Debug, Parser)]
#[command(name = "smollm2")]
pub(crate) struct Args {
    /// What is asked
    #[arg(default_value = "The capital of France is")]
    pub(crate) prompt: String,

    /// A text to read before the question
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Read exactly this many tokens of the file, which is repeated where it is shorter
    #[arg(long, value_name = "N", requires = "file")]
    pub(crate) tokens: Option<NonZero<usize>>,

    /// How the prompt is read: `full`, `default`, or the arguments of `#[proxy_attention(…)]`; several, parted by `;`, in turn
    #[arg(long, value_name = "LIST", default_value = "default")]
    pub(crate) methods: String,

    /// Continue the text as it stands, instead of answering it in a chat
    #[arg(long)]
    pub(crate) raw: bool,

    /// Tokens of the answer at the most
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) limit: usize,

    /// The model, a GGUF file of the Llama architecture [default: what `cargo xtask model` fetched]
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,

    /// Low-rank adapters: a directory with config.json and lora-*.safetensors
    #[arg(long, value_name = "DIR")]
    pub(crate) adapters: Option<PathBuf>,

    /// Where to run: cpu, cuda, cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,

    /// Read the prompt this many times; the fastest counts
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) rounds: NonZero<usize>,

    /// One JSON object instead of a report
    #[arg(long)]
    pub(crate) json: bool,
}
