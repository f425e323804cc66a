//! The command line.

use clap::Parser;
use smollm2::eval::Flags;
use std::path::PathBuf;

/// Measures right answers and time of attention for a family of methods, each at several densities.
///
/// Without --data, numbers are hidden in generated text: three tasks that the model can do without adapters up to 8K tokens.
///
/// Results are saved to a JSON file after each context, so that an interrupted run can continue.
#[derive(Debug, Parser)]
#[command(name = "frontier", max_term_width = 110)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) flags: Flags,

    /// Directories of evaluation sets (`evalset-LENGTH.safetensors`), comma-separated; the first is that of the adapters
    /// unless --adapters is given
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    pub(crate) data: Vec<PathBuf>,

    /// Only these methods, separated by `;` [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ';')]
    pub(crate) methods: Vec<String>,

    /// Save what the picture is drawn from to this JSON file
    #[arg(long, value_name = "FILE.json")]
    pub(crate) summary: Option<PathBuf>,
}
