//! The one error type: what was wrong, what was expected, what was given.

use proxyattn_codegen::Violation;
use std::path::{Path, PathBuf};

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why a kernel was not loaded, planned or run.
///
/// Every variant names the argument it is about. Nothing was written to an output when one of these comes back.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape does not fit the kernel, or the other arguments.
    #[error("`{arg}`: expected {expected}, got {got}")]
    Shape {
        /// The argument: `q`, `k`, `v`, `out`, `plan`, or a dimension of a problem.
        arg: &'static str,
        /// What would have been right.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A memory layout that no kernel reads.
    #[error("`{arg}`: expected {expected}, got {got}")]
    Layout {
        /// The argument.
        arg: &'static str,
        /// What would have been right.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A size does not fit the machine's or the kernel's integers.
    #[error("`{arg}`: {what} overflows: expected at most {limit}, got {got}")]
    Overflow {
        /// The argument.
        arg: &'static str,
        /// The quantity that overflows.
        what: &'static str,
        /// The largest that works.
        limit: u64,
        /// What was given, written as a product where it cannot be computed.
        got: String,
    },
    /// Memory that a valid call needs, and that there is not.
    #[error(
        "`{what}`: expected {bytes} bytes of {of} memory, got none; pass fewer tokens, heads or sequences at a time, or \
         free what else is held"
    )]
    Memory {
        /// What it was for: `output`, `workspace`, `keys`, `scores`, `lists` and so on.
        what: &'static str,
        /// Whose memory: `host` or `device`.
        of: &'static str,
        /// How much; `u64::MAX` where 64 bits do not hold it.
        bytes: u64,
    },
    /// An input holds NaN or infinity.
    #[error("`{arg}`: expected finite values, got {value} at [batch {}, head {}, token {}, dim {}]", at[0], at[1], at[2], at[3])]
    NotFinite {
        /// The argument.
        arg: &'static str,
        /// The offending value.
        value: f32,
        /// Where it stands: batch, head, token, dim.
        at: [usize; 4],
    },
    /// Finite inputs whose scores could leave the range of f32.
    #[error(
        "`q`, `k`: expected scores below {limit:e}, got values whose scores may reach {bound:e} \
         (largest |q| = {max_q:e}, |k| = {max_k:e}); normalise the inputs or lower `scale`"
    )]
    ScoreRange {
        /// The largest score that is safe.
        limit: f64,
        /// `head_dim · scale · max|q| · max|k|`.
        bound: f64,
        /// The largest magnitude in `q`.
        max_q: f32,
        /// The largest magnitude in `k`.
        max_k: f32,
    },
    /// Finite values whose weighted sum could leave the range of f32.
    #[error(
        "`v`: expected magnitudes up to {limit:e}, the largest f32 over the number of keys, got {max_v:e}"
    )]
    ValueRange {
        /// The largest magnitude that is safe.
        limit: f32,
        /// The largest magnitude in `v`.
        max_v: f32,
    },
    /// A specification that breaks its own rules; the attribute refuses these at compile time, so this
    /// comes only of a hand-written implementation of [`AttentionKernel`](crate::AttentionKernel).
    #[error("`{kernel}`: expected a valid configuration, got {}", list(violations))]
    Spec {
        /// The annotated type.
        kernel: &'static str,
        /// Every broken rule.
        violations: Vec<Violation>,
    },
    /// Something that this build or device cannot do.
    #[error("{what} is not available: {why}; {help}")]
    Unavailable {
        /// The feature or device that was asked for.
        what: String,
        /// What is missing.
        why: String,
        /// What to do about it.
        help: String,
    },
    /// A call of the CUDA driver that failed.
    #[error("{call} failed: {why} ({code})")]
    Cuda {
        /// What was being done.
        call: &'static str,
        /// The driver's result code.
        code: i32,
        /// What the driver calls it.
        why: String,
    },
    /// An environment variable with a value that means nothing.
    #[error("`{variable}`: expected {expected}, got `{got}`")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What it holds.
        got: String,
    },
    /// No NVRTC library where one is looked for.
    #[error(
        "NVRTC was not found: expected libnvrtc.so of CUDA 11.2 or newer, 12.0 for sm_90a, searched {}; \
         install it (`pip install nvidia-cuda-nvrtc` in an active virtual environment is enough), \
         set PROXYATTN_NVRTC to the library or its directory, or compile elsewhere (`proxyattn compile`) and set \
         PROXYATTN_AOT_DIR",
        searched.join(", ")
    )]
    NvrtcNotFound {
        /// Every place, in the order of the search, with what was wrong there.
        searched: Vec<String>,
    },
    /// A library that was opened as NVRTC, but is not one.
    #[error(
        "`{}` lacks the symbol {symbol}: expected NVRTC of CUDA 11.2 or newer; \
         set PROXYATTN_NVRTC to another library", library.display()
    )]
    NvrtcSymbol {
        /// The library.
        library: PathBuf,
        /// What it should export.
        symbol: &'static str,
    },
    /// An NVRTC that cannot make cubins.
    #[error(
        "`{}` is NVRTC {}.{}: expected 11.2 or newer, 12.0 for sm_90a; install a newer one or set PROXYATTN_NVRTC to it",
        library.display(), version.0, version.1
    )]
    NvrtcTooOld {
        /// The library.
        library: PathBuf,
        /// Its version: major, minor.
        version: (u32, u32),
    },
    /// An NVRTC that compiles nothing, most often because half of it is missing.
    #[error(
        "`{}` is NVRTC {}.{} and cannot compile: {why}; install it whole, or set PROXYATTN_NVRTC to another one",
        library.display(), version.0, version.1
    )]
    NvrtcUnusable {
        /// The library.
        library: PathBuf,
        /// Its version: major, minor.
        version: (u32, u32),
        /// What became of an empty kernel.
        why: String,
    },
    /// An NVRTC that does not know the GPU, being older or newer than what it supports.
    #[error(
        "`{}` is NVRTC {}.{} and cannot compile for {target}{}: it knows {}; set PROXYATTN_NVRTC to {}",
        library.display(), version.0, version.1, came_with(*since), archs(supported), newer(*version, *since)
    )]
    NvrtcTarget {
        /// The library.
        library: PathBuf,
        /// Its version: major, minor.
        version: (u32, u32),
        /// What was asked for: `sm_90a`.
        target: String,
        /// The CUDA version that brought this target, where this crate knows it
        /// ([`Target::since`](crate::jit::Target::since)).
        since: Option<(u32, u32)>,
        /// What it can compile for, as `90` for `sm_90`.
        supported: Vec<u32>,
    },
    /// An NVRTC call that failed for another reason than the kernel's source.
    #[error("{call} of `{}` failed: {why}{}", library.display(), indented(log))]
    NvrtcCall {
        /// The library.
        library: PathBuf,
        /// The function.
        call: &'static str,
        /// Its result code.
        code: i32,
        /// What the library says about the code, and what to do where that is known.
        why: String,
        /// The log of the compilation, where there is one.
        log: String,
    },
    /// A compilation that reported success and gave nothing that a GPU could load.
    #[error(
        "`{program}`: expected an ELF image for {target} from `{}`, got {got}; \
         set PROXYATTN_NVRTC to another version", library.display()
    )]
    NotACubin {
        /// The program.
        program: String,
        /// What was asked for.
        target: String,
        /// The library.
        library: PathBuf,
        /// What came instead.
        got: String,
    },
    /// A cubin that the driver does not load, most often because the compiler is newer than the driver.
    #[error("`{program}` for {target}: the driver, CUDA {driver}, refuses the cubin of {compiler}: {why}")]
    CubinRefused {
        /// The program.
        program: String,
        /// The architecture.
        target: String,
        /// The CUDA version that the driver speaks and, where it is known, the driver's own.
        driver: String,
        /// What made the cubin, with its version.
        compiler: String,
        /// What the driver calls it, and what to do about it.
        why: String,
    },
    /// A kernel's source that NVRTC refuses.
    #[error("`{program}` does not compile for {target}{}{}", source_note(source_path.as_deref()), indented(log))]
    Compile {
        /// The program.
        program: String,
        /// The architecture.
        target: String,
        /// Where the source was written to be read; `None` where there is no cache directory.
        source_path: Option<PathBuf>,
        /// The compiler's log.
        log: String,
    },
    /// A name, source or option that is not given to NVRTC.
    #[error("`{program}`: expected {expected}, got {got}")]
    Program {
        /// The program.
        program: String,
        /// What would have been right.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// A kernel that is not stored, where compiling is forbidden.
    #[error(
        "`{program}` for {target} is not compiled, and compiling it here is forbidden (PROXYATTN_JIT=deny): \
         searched {searched}; {help}"
    )]
    JitDenied {
        /// The program.
        program: String,
        /// The architecture.
        target: String,
        /// The directories, or why they were not searched.
        searched: String,
        /// What makes it.
        help: String,
    },
    /// A directory of cubins that cannot be read or written. Requests for kernels never end in this one.
    #[error("`{}`: {why}", path.display())]
    CubinFile {
        /// The directory, or a file in it.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

fn came_with(since: Option<(u32, u32)>) -> String {
    since.map_or(String::new(), |(major, minor)| format!(", which came with CUDA {major}.{minor}"))
}

fn newer(version: (u32, u32), since: Option<(u32, u32)>) -> String {
    match since.filter(|since| *since > version) {
        Some((major, minor)) => {
            format!(
                "one of CUDA {major}.{minor} or newer (`pip install nvidia-cuda-nvrtc` brings the newest)"
            )
        }
        None => "a version that can".into(),
    }
}

fn archs(supported: &[u32]) -> String {
    supported.iter().map(|arch| format!("sm_{arch}")).collect::<Vec<_>>().join(", ")
}

fn source_note(path: Option<&Path>) -> String {
    match path {
        Some(path) => format!("; its source is in `{}`", path.display()),
        None => "; its source could not be written, since there is no cache directory".into(),
    }
}

/// A log on lines of its own, or nothing.
fn indented(log: &str) -> String {
    log.trim_end().lines().map(|line| format!("\n    {line}").trim_end_matches(' ').to_owned()).collect()
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_argument_expected_and_given() {
        let error = Error::Shape { arg: "k", expected: "head_dim 128".into(), got: "64".into() };
        assert_eq!(error.to_string(), "`k`: expected head_dim 128, got 64");
        let error = Error::NotFinite { arg: "q", value: f32::NAN, at: [0, 3, 77, 5] };
        assert_eq!(
            error.to_string(),
            "`q`: expected finite values, got NaN at [batch 0, head 3, token 77, dim 5]"
        );
    }

    #[test]
    fn memory_says_what_it_was_for_and_what_to_do() {
        let error = Error::Memory { what: "output", of: "host", bytes: 1 << 39 };
        assert_eq!(
            error.to_string(),
            "`output`: expected 549755813888 bytes of host memory, got none; pass fewer tokens, heads or sequences at a \
             time, or free what else is held"
        );
    }

    #[test]
    fn errors_travel_between_threads() {
        fn assert_bounds<T: Send + Sync + std::error::Error + 'static>() {}
        assert_bounds::<Error>();
    }
}
