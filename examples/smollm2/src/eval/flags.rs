//! The flags that programs which ask about contexts share.

use super::{Deadline, Source, TASKS};
use crate::{Error, Method, Result, Runner, Tokenizer, Weights, load, runner};
use clap::Args;
use kit::TokenCount;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which contexts are read, on what, for how long, and where results are kept.
#[derive(Debug, Args)]
pub struct Flags {
    /// Directory of the adapters
    #[arg(long, value_name = "DIR")]
    pub adapters: Option<PathBuf>,

    /// Model: a GGUF file of the Llama architecture [default: the one downloaded by `cargo xtask model`]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// Context lengths in tokens, such as 16384 or 16K, comma-separated
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "4096",
        allow_negative_numbers = true
    )]
    pub lengths: Vec<TokenCount>,

    /// Run only these tasks, comma-separated
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub tasks: Vec<String>,

    /// Run only the first N contexts of each task
    #[arg(long, value_name = "N")]
    pub contexts: Option<NonZero<usize>>,

    /// Device: cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,

    /// Time limit; the run stops between two questions
    #[arg(long, value_name = "SECONDS")]
    pub limit: Option<u64>,

    /// Results file; results that it already has are not run again
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Draw the results to this SVG or PNG file
    #[arg(long, value_name = "FILE.svg", value_parser = kit::chart::file)]
    pub picture: Option<PathBuf>,

    /// Run nothing; show the results in the --json file
    #[arg(long, requires = "json")]
    pub show: bool,
}

impl Flags {
    /// When the time limit is over, from now.
    pub fn deadline(&self) -> Deadline {
        Deadline(self.limit.map(|limit| Instant::now() + Duration::from_secs(limit)))
    }

    /// Refuses tasks that no set has.
    ///
    /// # Errors
    /// [`Error::Argument`] that names them.
    pub fn check(&self) -> Result<()> {
        match self.tasks.iter().find(|task| !TASKS.contains(&task.as_str())) {
            Some(unknown) => Err(Error::argument("--tasks", TASKS.join(", "), unknown.clone())),
            None => Ok(()),
        }
    }

    /// Whether a context is to be read.
    pub(super) fn wants(&self, task: &str, index: usize) -> bool {
        let wanted = self.tasks.is_empty() || self.tasks.iter().any(|wanted| wanted == task);
        wanted && self.contexts.is_none_or(|most| index < most.get())
    }

    /// The model, with the adapters of `--adapters`, else of `beside`, if that names a directory.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self, beside: Option<&Path>) -> Result<(Weights, Tokenizer)> {
        load(self.model.as_deref(), self.adapters.as_deref().or(beside), &mut |_| ())
    }

    /// A runner with room for the longest context and question, which has prepared for `methods`.
    ///
    /// # Errors
    /// As [`runner`] and [`Runner::prepare`].
    pub fn runner(&self, weights: Weights, sets: &[Source], methods: &[Method]) -> Result<Box<dyn Runner>> {
        let longest = sets.iter().map(|source| source.set.longest()).max().unwrap_or(0);
        let mut runner = runner(&self.device, Arc::new(weights), longest)?;
        runner.prepare(methods)?;
        Ok(runner)
    }
}
