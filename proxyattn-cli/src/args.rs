//! The flags.

#![allow(clippy::doc_markdown)] // doc comments are the text of --help

use crate::failure::EXIT_CODES;
use clap::{Args as Group, Parser, Subcommand};
use proxyattn_codegen::Arch;
use proxyattn_runtime::DeviceName;
use proxyattn_runtime::jit::Target;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// What a configuration is, for `--help`.
const ATTRIBUTE: &str =
    "The arguments of #[proxy_attention(…)], such as 'block = 64, groups = 4'; empty for the default";

/// Block-sparse prefill attention: what this machine can do, what a kernel is, how fast it runs.
#[derive(Debug, Parser)]
#[command(name = "proxyattn", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what this machine can do: driver, GPUs, NVRTC, cache, and what to do where CUDA is not used
    Doctor,
    /// Print the CUDA text of a configuration
    Expand(ExpandArgs),
    /// Print what a configuration does for a shape: kernels and grids, buffers, shared memory, registers
    Inspect(InspectArgs),
    /// Compile the kernels of a configuration ahead of time, for machines without NVRTC
    Compile(CompileArgs),
    /// Measure on the GPU which tiles a configuration runs fastest with, and keep the winners for every program
    Tune(TuneArgs),
    /// Time the stages of a configuration beside dense attention
    Bench(BenchArgs),
    /// Look after the cubins and the tuning records that are stored
    Cache(CacheArgs),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Group)]
pub(crate) struct ExpandArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    /// The family of GPUs [default: the newest that the configuration is declared for]
    #[arg(long, value_parser = arch)]
    pub(crate) arch: Option<Arch>,
    /// One translation unit: scoring, score, budget, attend or dense [default: all]
    #[arg(long)]
    pub(crate) unit: Option<String>,
}

#[derive(Debug, Group)]
pub(crate) struct InspectArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// The family of GPUs [default: the newest that the configuration is declared for]
    #[arg(long, value_parser = arch)]
    pub(crate) arch: Option<Arch>,
    /// Multiprocessors of the GPU, which some grids depend on [default: an H100's 132 or an A100's 108]
    #[arg(long)]
    pub(crate) multiprocessors: Option<NonZeroUsize>,
    /// Tokens below which the plan is dense because selecting does not pay; 0 for never [default: what the family and the budget say]
    #[arg(long)]
    pub(crate) dense_below: Option<usize>,
    /// Leave out registers and spills, which NVRTC has to compile the kernels for
    #[arg(long)]
    pub(crate) no_compile: bool,
}

/// A problem.
#[derive(Debug, Group)]
pub(crate) struct ShapeArgs {
    /// Tokens of the context
    #[arg(long, default_value = "8192")]
    pub(crate) tokens: usize,
    /// Query tokens, the last of the context; with `causal = false` as many as you like [default: all]
    #[arg(long)]
    pub(crate) q_tokens: Option<usize>,
    #[command(flatten)]
    pub(crate) heads: HeadsArgs,
}

/// What a problem has beside its tokens.
#[derive(Debug, Group)]
pub(crate) struct HeadsArgs {
    /// Query heads [default: the configuration's, or 32]
    #[arg(long)]
    pub(crate) heads: Option<usize>,
    /// Key/value heads [default: the configuration's, or a quarter of the query heads]
    #[arg(long)]
    pub(crate) kv_heads: Option<usize>,
    /// Sequences
    #[arg(long, default_value = "1")]
    pub(crate) batch: usize,
}

#[derive(Debug, Group)]
pub(crate) struct CompileArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    /// The GPUs: sm_90a is Hopper; sm_80 runs on 8.0 to 8.9; others as sm_120. Several with commas
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) arch: Vec<Target>,
    /// The directory that the cubins go to; what is there stays
    #[arg(long)]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct TuneArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    /// Tokens of the contexts to measure on, with commas; lengths between them take the nearest one's tiles
    #[arg(long, value_delimiter = ',', default_value = "8192,32768,65536,131072")]
    pub(crate) tokens: Vec<usize>,
    #[command(flatten)]
    pub(crate) heads: HeadsArgs,
    /// Tokens below which the tiles of dense attention are measured, since selecting does not pay; 0 for never [default: what the GPU and the budget say]
    #[arg(long)]
    pub(crate) dense_below: Option<usize>,
    /// Seconds after which no new measurement begins
    #[arg(long, default_value = "120", conflicts_with = "check")]
    pub(crate) limit: u64,
    /// Tune nothing: launch the recorded tiles and the default ones in turns, and fail if a record's are slower by more than 2%
    #[arg(long)]
    pub(crate) check: bool,
    /// Write this machine's records of the configuration into a file, a line of JSON each, as they ship with the crate
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct BenchArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Where it runs: cpu, cuda, cuda:1 for the second GPU, or auto: what PROXYATTN_DEVICE names, else a GPU where one can be used
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceName,
    /// Runs, of which the median counts
    #[arg(long, default_value = "5")]
    pub(crate) runs: NonZeroUsize,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
    /// The directory [default: that of PROXYATTN_CACHE_DIR, or the user's]; one that `compile` filled will do
    #[arg(long, global = true)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the cubins, the least recently used first, and whose tuning records there are
    Ls,
    /// Check every cubin and every tuning record against its checksum
    Verify {
        /// Delete the damaged ones: cubins are compiled again when they are needed, records made again by `tune`
        #[arg(long)]
        remove: bool,
    },
    /// Delete cubins that were not used for long or are too much, and tuning records that later ones replaced
    Gc {
        /// The size that may stay, such as 256MiB [default: PROXYATTN_CACHE_MIB, or 512MiB]
        #[arg(long, value_parser = size)]
        max_size: Option<u64>,
        /// The time since the last use after which a file goes, such as 30d, 12h or 45min [default: none]
        #[arg(long, value_parser = age)]
        max_age: Option<Duration>,
    },
    /// Delete everything that is stored, tuning records too
    Clear {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

fn arch(text: &str) -> Result<Arch, String> {
    let known = Arch::ALL.iter().copied().find(|arch| arch.as_str() == text);
    known.ok_or_else(|| "expected sm_80 (Ampere and later) or sm_90a (Hopper)".into())
}

/// A number and one of some units.
fn measured(text: &str, units: &[(&str, u64)], expected: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
    let product =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    product.ok_or_else(|| format!("expected {expected}"))
}

fn size(text: &str) -> Result<u64, String> {
    let units = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    measured(text, &units, "a number with B, KiB, MiB or GiB, such as 256MiB")
}

fn age(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];
    measured(text, &units, "a number with s, min, h or d, such as 30d").map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_and_ages_have_a_unit() {
        assert_eq!((size("256MiB"), size("0B"), size("1 GiB")), (Ok(256 << 20), Ok(0), Ok(1 << 30)));
        assert_eq!(
            (age("30d"), age("45min")),
            (Ok(Duration::from_secs(2_592_000)), Ok(Duration::from_secs(2_700)))
        );
        for wrong in ["", "MiB", "5", "5MB", "-1MiB", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(age("1w").is_err());
    }
}
