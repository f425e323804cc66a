//! The command-line arguments.

#![allow(clippy::doc_markdown)] // doc comments are the text of --help

use crate::failure::EXIT_CODES;
use crate::values::{age, count, seconds, size, threshold};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args as Group, Parser, Subcommand};
use proxyattn_codegen::cuda::UnitId;
use proxyattn_runtime::jit::Target;
use proxyattn_runtime::{DeviceName, TokenCount};
use std::path::PathBuf;
use std::time::Duration;

/// Block-sparse prefill attention: check this machine, inspect kernels, measure them
#[derive(Debug, Parser)]
#[command(name = "proxyattn", version, after_help = EXIT_CODES, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check this machine
    Doctor(DoctorArgs),
    /// Print the CUDA source of a configuration
    Expand(ExpandArgs),
    /// Show the kernels and buffers of a configuration on a given shape
    Inspect(InspectArgs),
    /// Compile kernels ahead of time, for machines without NVRTC
    Compile(CompileArgs),
    /// Measure the fastest tiles on this GPU and store them
    Tune(TuneArgs),
    /// Time each stage, and compare with dense attention
    Bench(BenchArgs),
    /// Manage compiled kernels and tuning records
    Cache(CacheArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Group)]
pub(crate) struct DoctorArgs {
    /// Also list where the driver and NVRTC were searched, the GPUs that NVRTC supports, and the environment
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// The configuration of a kernel.
#[derive(Debug, Group)]
pub(crate) struct ConfigurationArgs {
    /// The arguments of #[proxy_attention(…)], quoted: 'block = 64, groups = 4' [default: every key has its default]
    #[arg(value_name = "CONFIGURATION", default_value = "", hide_default_value = true)]
    pub(crate) configuration: String,
}

#[derive(Debug, Group)]
pub(crate) struct ExpandArgs {
    #[command(flatten)]
    pub(crate) spec: ConfigurationArgs,
    /// GPU: sm_90a (Hopper), sm_80, or another compute capability such as sm_120 [default: the newest family in `arch`]
    #[arg(long)]
    pub(crate) arch: Option<Target>,
    /// Translation unit [default: all]
    #[arg(long, value_parser = unit())]
    pub(crate) unit: Option<UnitId>,
}

#[derive(Debug, Group)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) spec: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// GPU: sm_90a (Hopper), sm_80, or another compute capability such as sm_120 [default: the newest family in `arch`]
    #[arg(long)]
    pub(crate) arch: Option<Target>,
    /// Multiprocessors (SMs) of the GPU; some grids depend on them [default: 132 (H100) for sm_90a, else 108 (A100)]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) multiprocessors: Option<usize>,
    /// Run dense below so many tokens of context; 0 never does [default: depends on GPU and budget]
    #[arg(long, value_name = "N", value_parser = threshold, allow_negative_numbers = true)]
    pub(crate) dense_below: Option<usize>,
    /// Skip registers and spills (they need NVRTC)
    #[arg(long)]
    pub(crate) no_compile: bool,
}

/// The shape of a problem.
#[derive(Debug, Group)]
pub(crate) struct ShapeArgs {
    /// Context length in tokens, such as 131072 or 128K
    #[arg(long, value_name = "N", default_value = "8192", allow_negative_numbers = true)]
    pub(crate) tokens: TokenCount,
    /// Query tokens: the last of the context; any number with `causal = false` [default: all]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) q_tokens: Option<TokenCount>,
    #[command(flatten)]
    pub(crate) heads: HeadsArgs,
}

/// The dimensions of a problem other than its tokens.
#[derive(Debug, Group)]
pub(crate) struct HeadsArgs {
    /// Query heads [default: as the configuration fixes, or 32]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) heads: Option<usize>,
    /// Key/value heads [default: as the configuration fixes, or a quarter of the query heads]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) kv_heads: Option<usize>,
    /// Sequences in the batch
    #[arg(long, value_name = "N", default_value = "1", value_parser = count, allow_negative_numbers = true)]
    pub(crate) batch: usize,
}

#[derive(Debug, Group)]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub(crate) spec: ConfigurationArgs,
    /// GPUs, comma-separated: sm_90a (Hopper), sm_80 (capability 8.0 to 8.9), or others such as sm_120
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) arch: Vec<Target>,
    /// Output directory; existing files are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    pub(crate) spec: ConfigurationArgs,
    /// Context lengths in tokens, comma-separated; others use the tiles of the nearest one
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "8K,32K,64K,128K")]
    #[arg(allow_negative_numbers = true)]
    pub(crate) tokens: Vec<TokenCount>,
    #[command(flatten)]
    pub(crate) heads: HeadsArgs,
    /// Tune dense attention below so many tokens of context; 0 never does [default: depends on GPU and budget]
    #[arg(long, value_name = "N", value_parser = threshold, allow_negative_numbers = true)]
    pub(crate) dense_below: Option<usize>,
    /// Start no measurement after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "120", conflicts_with = "check", value_parser = seconds)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) limit: Duration,
    /// Compare recorded tiles with the default ones instead; fail if one is more than 2% slower
    #[arg(long)]
    pub(crate) check: bool,
    /// Write this machine's records of the configuration to a file, as the crate ships them: one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) spec: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// cpu, cuda, cuda:1 for the second GPU, or auto: PROXYATTN_DEVICE, else the first usable GPU, else the CPU
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceName,
    /// Timed runs; the median is reported
    #[arg(long, value_name = "N", default_value = "5", value_parser = count, allow_negative_numbers = true)]
    pub(crate) runs: usize,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
    /// Cache directory, or the output of `compile` [default: PROXYATTN_CACHE_DIR, or the user's cache]
    #[arg(long, global = true)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the cubins, least recently used first, and the tuning records
    Ls,
    /// Verify the checksum of every cubin and tuning record
    Verify {
        /// Delete damaged entries; cubins are compiled again when needed, and `tune` makes new records
        #[arg(long)]
        remove: bool,
    },
    /// Delete cubins by age or total size, and tuning records that newer ones have replaced
    Gc {
        /// Maximum total size to keep, for example 256MiB [default: PROXYATTN_CACHE_MIB, or 512MiB]
        #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
        max_size: Option<u64>,
        /// Delete files not used for this long, for example 30d, 12h or 45min [default: no limit]
        #[arg(long, value_name = "AGE", value_parser = age, allow_negative_numbers = true)]
        max_age: Option<Duration>,
    },
    /// Delete everything in the cache, tuning records included
    Clear {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// The name of a translation unit; [`named`](UnitId::named) knows the possible values.
fn unit() -> impl TypedValueParser<Value = UnitId> {
    let names = UnitId::ALL.iter().map(|unit| unit.name());
    PossibleValuesParser::new(names).try_map(|name| UnitId::named(&name).ok_or("not a unit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
    }
}
