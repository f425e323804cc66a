//! The command line.

use clap::Parser;
use kit::TokenCount;
use std::num::NonZero;
use std::path::PathBuf;

/// Measures a model's accuracy on long contexts with sparse attention, compared with full attention.
///
/// Results are saved to a JSON file after each context, so that an interrupted run can continue.
#[derive(Debug, Parser)]
#[command(name = "accuracy", max_term_width = 110)]
pub(crate) struct Args {
    /// Directory of the evaluation sets (`evalset-LENGTH.safetensors`), and of the adapters unless --adapters is given
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Directory of the adapters
    #[arg(long, value_name = "DIR")]
    pub(crate) adapters: Option<PathBuf>,

    /// Model: a GGUF file of the Llama architecture [default: the one downloaded by `cargo xtask model`]
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,

    /// Context lengths in tokens, such as 16384 or 16K, comma-separated
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "4096",
        allow_negative_numbers = true
    )]
    pub(crate) lengths: Vec<TokenCount>,

    /// Configurations, separated by `;`: `full`, `default`, or the arguments of `#[proxy_attention(…)]`
    #[arg(long, value_name = "LIST", default_value = "full;default")]
    pub(crate) configuration: String,

    /// Run only these tasks, comma-separated
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) tasks: Vec<String>,

    /// Run only the first N contexts of each task
    #[arg(long, value_name = "N")]
    pub(crate) contexts: Option<NonZero<usize>>,

    /// Also measure the share of true attention in the visited blocks, on the first context of `multikey`
    #[arg(long)]
    pub(crate) recall: bool,

    /// Device: cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,

    /// Time limit; the run stops between two questions
    #[arg(long, value_name = "SECONDS")]
    pub(crate) limit: Option<u64>,

    /// Results file; results that it already has are not run again
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Draw accuracy against density to this SVG or PNG file
    #[arg(long, value_name = "FILE.svg", value_parser = kit::chart::file)]
    pub(crate) picture: Option<PathBuf>,

    /// Run nothing; show the results in the --json file
    #[arg(long, requires = "json")]
    pub(crate) show: bool,
}
