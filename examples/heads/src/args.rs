//! The command line.

use clap::Parser;
use heads::Options;
use std::path::PathBuf;

/// Measures how alike the heads of a model look at its context, and says how many proxy heads that allows.
#[derive(Clone, Debug, Parser)]
#[command(name = "heads", max_term_width = 110)]
pub(crate) struct Args {
    /// Layers: safetensors with `q` [1, heads, tokens, dim] and `k` (as many heads or fewer), bf16 or f16, rotary
    /// embedding applied
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) input: Vec<PathBuf>,

    /// Attention that a list may lose by being shared, at the 95th percentile over rows and heads
    #[arg(long, value_name = "0..1", default_value_t = Options::default().regret)]
    pub(crate) regret: f64,

    /// Share of the blocks that a list keeps
    #[arg(long, value_name = "0..1", default_value_t = Options::default().keep)]
    pub(crate) keep: f64,

    /// Rows of query blocks to look at, spread over the last three quarters of the context
    #[arg(long, value_name = "N", default_value_t = Options::default().rows)]
    pub(crate) rows: usize,

    /// Tokens that overlaps are of
    #[arg(long, value_name = "N", default_value_t = Options::default().top)]
    pub(crate) top: usize,

    /// Last tokens of a query's context that are not far
    #[arg(long, value_name = "N", default_value_t = Options::default().window)]
    pub(crate) window: usize,

    /// Factor on q·k; 1/√dim by default
    #[arg(long, value_name = "X")]
    pub(crate) scale: Option<f64>,

    /// Where to write everything as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) json: Option<PathBuf>,

    /// Where to draw the layers
    #[arg(long, value_name = "FILE.png")]
    pub(crate) picture: Option<PathBuf>,
}

impl Args {
    pub(crate) fn options(&self) -> Options {
        let &Self { keep, regret, rows, top, window, scale, .. } = self;
        Options { keep, regret, rows, top, window, scale }
    }
}
