//! The command-line arguments.

#![allow(clippy::doc_markdown)] // doc comments are the text of --help

use crate::failure::EXIT_CODES;
use clap::{Args as Group, Parser, Subcommand};
use proxyattn_codegen::Arch;
use proxyattn_runtime::DeviceName;
use proxyattn_runtime::jit::Target;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The help text of the configuration argument.
const ATTRIBUTE: &str =
    "The arguments of #[proxy_attention(…)], for example 'block = 64, groups = 4'; empty for the defaults";

/// Block-sparse prefill attention: check this machine, inspect kernels, measure them
#[derive(Debug, Parser)]
#[command(name = "proxyattn", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check this machine: driver, GPUs, NVRTC and cache; if CUDA is not used, say why and how to fix it
    Doctor,
    /// Print the CUDA source of a configuration
    Expand(ExpandArgs),
    /// Show how a configuration runs on a given shape: kernels, grids, buffers, shared memory, registers
    Inspect(InspectArgs),
    /// Compile the kernels of a configuration ahead of time, for machines without NVRTC
    Compile(CompileArgs),
    /// Measure the fastest tiles for a configuration on this GPU, and store them for all programs
    Tune(TuneArgs),
    /// Time each stage of a configuration and compare with dense attention
    Bench(BenchArgs),
    /// Manage cached cubins and tuning records
    Cache(CacheArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Group)]
pub(crate) struct ExpandArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    /// GPU family, sm_80 or sm_90a [default: the newest one in the configuration's `arch`]
    #[arg(long, value_parser = arch)]
    pub(crate) arch: Option<Arch>,
    /// Translation unit: scoring, score, budget, attend or dense [default: all]
    #[arg(long)]
    pub(crate) unit: Option<String>,
}

#[derive(Debug, Group)]
pub(crate) struct InspectArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// GPU family, sm_80 or sm_90a [default: the newest one in the configuration's `arch`]
    #[arg(long, value_parser = arch)]
    pub(crate) arch: Option<Arch>,
    /// Multiprocessors (SMs) of the GPU; some grids depend on it [default: 132 (H100) for sm_90a, 108 (A100) for sm_80]
    #[arg(long)]
    pub(crate) multiprocessors: Option<NonZeroUsize>,
    /// Context length in tokens below which the plan is dense, because selection does not pay off; 0 disables [default: depends on GPU family and budget]
    #[arg(long)]
    pub(crate) dense_below: Option<usize>,
    /// Skip registers and spills, which require compiling the kernels with NVRTC
    #[arg(long)]
    pub(crate) no_compile: bool,
}

/// The shape of a problem.
#[derive(Debug, Group)]
pub(crate) struct ShapeArgs {
    /// Context length in tokens
    #[arg(long, default_value = "8192")]
    pub(crate) tokens: usize,
    /// Number of query tokens, which are the last of the context; with `causal = false` any number [default: all]
    #[arg(long)]
    pub(crate) q_tokens: Option<usize>,
    #[command(flatten)]
    pub(crate) heads: HeadsArgs,
}

/// The dimensions of a problem other than its tokens.
#[derive(Debug, Group)]
pub(crate) struct HeadsArgs {
    /// Query heads [default: as fixed by the configuration, or 32]
    #[arg(long)]
    pub(crate) heads: Option<usize>,
    /// Key/value heads [default: as fixed by the configuration, or a quarter of the query heads]
    #[arg(long)]
    pub(crate) kv_heads: Option<usize>,
    /// Batch size: number of sequences
    #[arg(long, default_value = "1")]
    pub(crate) batch: usize,
}

#[derive(Debug, Group)]
pub(crate) struct CompileArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    /// Target GPUs, comma-separated: sm_90a (Hopper), sm_80 (compute capability 8.0 to 8.9), or another capability such as sm_120
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) arch: Vec<Target>,
    /// Output directory for the cubins; existing files are kept
    #[arg(long)]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct TuneArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    /// Context lengths to measure, in tokens, comma-separated; other lengths use the tiles of the nearest one
    #[arg(long, value_delimiter = ',', default_value = "8192,32768,65536,131072")]
    pub(crate) tokens: Vec<usize>,
    #[command(flatten)]
    pub(crate) heads: HeadsArgs,
    /// Context length in tokens below which dense attention is tuned, because selection does not pay off; 0 disables [default: depends on GPU and budget]
    #[arg(long)]
    pub(crate) dense_below: Option<usize>,
    /// Time limit in seconds; no new measurement starts after it
    #[arg(long, default_value = "120", conflicts_with = "check")]
    pub(crate) limit: u64,
    /// Do not tune; interleave launches of recorded and default tiles, and fail if a recorded one is more than 2% slower
    #[arg(long)]
    pub(crate) check: bool,
    /// Write this machine's records for the configuration to a file, one JSON object per line, in the format shipped with the crate
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct BenchArgs {
    #[arg(help = ATTRIBUTE, default_value = "", hide_default_value = true)]
    pub(crate) attribute: String,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Device: cpu, cuda, cuda:1 for the second GPU, or auto (the device in PROXYATTN_DEVICE, else the first GPU if it is usable, else the CPU)
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceName,
    /// Number of timed runs; the median is reported
    #[arg(long, default_value = "5")]
    pub(crate) runs: NonZeroUsize,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
    /// Cache directory, or the output directory of `compile` [default: PROXYATTN_CACHE_DIR, or the user's cache directory]
    #[arg(long, global = true)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the cubins, least recently used first, and the tuning records
    Ls,
    /// Verify the checksum of every cubin and tuning record
    Verify {
        /// Delete damaged entries; cubins are recompiled when needed, and `tune` makes new records
        #[arg(long)]
        remove: bool,
    },
    /// Delete cubins that exceed an age or a total size, and tuning records that newer ones have replaced
    Gc {
        /// Maximum total size to keep, for example 256MiB [default: PROXYATTN_CACHE_MIB, or 512MiB]
        #[arg(long, value_parser = size)]
        max_size: Option<u64>,
        /// Delete files not used for this long, for example 30d, 12h or 45min [default: no age limit]
        #[arg(long, value_parser = age)]
        max_age: Option<Duration>,
    },
    /// Delete everything in the cache, including tuning records
    Clear {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

fn arch(text: &str) -> Result<Arch, String> {
    let known = Arch::ALL.iter().copied().find(|arch| arch.as_str() == text);
    known.ok_or_else(|| "expected sm_80 (Ampere and later) or sm_90a (Hopper)".into())
}

/// A number with one of `units`.
fn with_unit(text: &str, units: &[(&str, u64)], expected: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
    let product =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    product.ok_or_else(|| format!("expected {expected}"))
}

fn size(text: &str) -> Result<u64, String> {
    let units = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    with_unit(text, &units, "a number with B, KiB, MiB or GiB, for example 256MiB")
}

fn age(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];
    with_unit(text, &units, "a number with s, min, h or d, for example 30d").map(Duration::from_secs)
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
