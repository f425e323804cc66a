//! The command line.

use clap::Parser;
use smollm2::eval::Flags;
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

    #[command(flatten)]
    pub(crate) flags: Flags,

    /// Configurations, separated by `;`: `full`, `default`, or the arguments of `#[proxy_attention(…)]`
    #[arg(long, value_name = "LIST", default_value = "full;default")]
    pub(crate) configuration: String,

    /// Also measure the share of true attention in the visited blocks, on the first context of `multikey`
    #[arg(long)]
    pub(crate) recall: bool,
}
