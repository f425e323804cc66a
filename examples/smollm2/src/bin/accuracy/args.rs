//! The command line.

use clap::Parser;
use std::num::NonZero;
use std::path::PathBuf;

/// Accuracy of a model that reads long contexts by sparse attention, beside full attention.
///
/// Results are kept in a JSON file context by context: a run that was stopped goes on where it was.
#[derive(Debug, Parser)]
#[command(name = "accuracy")]
pub(crate) struct Args {
    /// Directory of the evaluation sets (`evalset-LENGTH.safetensors`), and of the adapters unless --adapters names another
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Directory of the adapters
    #[arg(long, value_name = "DIR")]
    pub(crate) adapters: Option<PathBuf>,

    /// The model, a GGUF file of the Llama architecture [default: what `cargo xtask model` fetched]
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,

    /// Tokens of a context, parted by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "4096")]
    pub(crate) lengths: Vec<usize>,

    /// How contexts are read, parted by `;`: `full`, `default`, or the arguments of `#[proxy_attention(…)]`
    #[arg(long, value_name = "LIST", default_value = "full;default")]
    pub(crate) configs: String,

    /// Only these tasks, parted by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) tasks: Vec<String>,

    /// Only the first contexts of each task
    #[arg(long, value_name = "N")]
    pub(crate) contexts: Option<NonZero<usize>>,

    /// Also measure how much of the true attention the visited blocks hold, on the first context of `multikey`
    #[arg(long)]
    pub(crate) recall: bool,

    /// Where to run: cpu, cuda, cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,

    /// Stop after this many seconds, between two questions
    #[arg(long, value_name = "SECONDS")]
    pub(crate) limit: Option<u64>,

    /// Where results are kept; what is there already is not run again
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// A picture of accuracy against density
    #[arg(long, value_name = "PNG")]
    pub(crate) picture: Option<PathBuf>,

    /// Run nothing: only show what --json holds
    #[arg(long, requires = "json")]
    pub(crate) show: bool,
}
