//! The error type: each message says what was expected, what was given and what to do.

use core::fmt;
use proxyattn_codegen::Violation;
use std::path::{Path, PathBuf};

/// A `Result` whose error is [`Error`].
///
/// ```
/// fn tokens(tensor: &proxyattn::Tensor<proxyattn::prelude::bf16>) -> proxyattn::Result<usize> {
///     Ok(tensor.to_f32()?.len())
/// }
/// # assert_eq!(tokens(&proxyattn::Tensor::zeros([1, 2, 3, 4])?)?, 24);
/// # Ok::<(), proxyattn::Error>(())
/// ```
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why a kernel was not loaded, planned or run.
///
/// Messages name the argument, what was expected and what was given. When a call returns one of these, it has not written to
/// its output. `Debug` writes the message too, so that it is what a program prints whose `main` returns a
/// [`Result`](crate::Result).
///
/// ```
/// use proxyattn::{Error, View, prelude::bf16};
///
/// let error = View::bhsd(&[bf16::ONE; 5], [1, 1, 2, 3]).unwrap_err();
/// assert!(matches!(error, Error::Shape { arg: "data", .. }));
/// let message = "`data`: expected at least 6 elements for shape [1, 1, 2, 3] with strides [6, 6, 3, 1], got 5";
/// assert_eq!(error.to_string(), message);
/// assert_eq!(format!("{error:?}"), message);
/// ```
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape does not fit the kernel, or the other arguments.
    #[error("`{arg}`: expected {expected}, got {got}")]
    Shape {
        /// The argument: `q`, `k`, `v`, `out`, `plan`, `lists`, or a dimension of a problem.
        arg: &'static str,
        /// What was expected.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A memory layout that kernels do not support.
    #[error("`{arg}`: expected {expected}, got {got}")]
    Layout {
        /// The argument.
        arg: &'static str,
        /// What was expected.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A size exceeds the range of the machine's or the kernel's integers.
    #[error("`{arg}`: {what} overflows: expected at most {limit}, got {got}")]
    Overflow {
        /// The argument.
        arg: &'static str,
        /// The quantity that overflows.
        what: &'static str,
        /// The maximum.
        limit: u64,
        /// What was given, as a product if the value itself overflows.
        got: String,
    },
    /// A valid call needs more memory than is available.
    #[error(
        "`{what}`: cannot allocate {bytes} bytes of {of} memory; pass fewer tokens, heads or sequences per call, or free \
         other memory"
    )]
    Memory {
        /// What the memory is for: `output`, `workspace`, `keys`, `scores`, `lists` and so on.
        what: &'static str,
        /// Which memory: `host` or `device`.
        of: &'static str,
        /// The size; `u64::MAX` if it does not fit in 64 bits.
        bytes: u64,
    },
    /// An input contains NaN or infinity.
    #[error("`{arg}`: expected finite values, got {value} at [batch {}, head {}, token {}, dim {}]", at[0], at[1], at[2], at[3])]
    NotFinite {
        /// The argument.
        arg: &'static str,
        /// The offending value.
        value: f32,
        /// Its position: batch, head, token, dim.
        at: [usize; 4],
    },
    /// Finite inputs whose scores could overflow f32.
    #[error(
        "`q`, `k`: expected scores below {limit:e}, got values whose scores may reach {bound:e} \
         (largest |q| = {max_q:e}, |k| = {max_k:e}); normalise the inputs or lower `scale`"
    )]
    ScoreRange {
        /// The largest safe score.
        limit: f64,
        /// `head_dim · scale · max|q| · max|k|`.
        bound: f64,
        /// The largest magnitude in `q`.
        max_q: f32,
        /// The largest magnitude in `k`.
        max_k: f32,
    },
    /// Finite values whose weighted sum could overflow f32.
    #[error(
        "`v`: expected magnitudes up to {limit:e} (the largest f32 divided by the number of keys), got {max_v:e}"
    )]
    ValueRange {
        /// The largest safe magnitude.
        limit: f32,
        /// The largest magnitude in `v`.
        max_v: f32,
    },
    /// A block list from outside that attention cannot follow.
    #[error("`lists`: expected {expected}, got {got} at [batch {}, list head {}, row {}]", at[0], at[1], at[2])]
    Lists {
        /// What was expected.
        expected: String,
        /// What was given.
        got: String,
        /// The list: batch, list head, row.
        at: [usize; 3],
    },
    /// An invalid configuration. The attribute rejects these at compile time, so this comes only from a configuration that
    /// was built by hand.
    #[error("`{kernel}`: expected a valid configuration, got {}", list(violations))]
    Spec {
        /// The annotated type, or the caller.
        kernel: &'static str,
        /// Every broken rule.
        violations: Vec<Violation>,
    },
    /// A feature or device that is not available.
    #[error("{what} is not available: {why}; {help}")]
    Unavailable {
        /// The requested feature or device.
        what: String,
        /// What is missing.
        why: String,
        /// What to do about it.
        help: String,
    },
    /// No CUDA driver was found.
    #[error(
        "CUDA is not available: no driver library can be opened: tried {}; {}, or use Device::cpu()",
        searched.join(", "), Self::INSTALL_DRIVER
    )]
    DriverNotFound {
        /// Every name that was tried in order, with the dynamic linker's reason.
        searched: Vec<String>,
    },
    /// A failed call of the CUDA driver.
    #[error("{call} failed: {why} ({code})")]
    Cuda {
        /// The function or operation.
        call: &'static str,
        /// The driver's result code.
        code: i32,
        /// The driver's description.
        why: String,
    },
    /// An environment variable with an invalid value.
    #[error("`{variable}`: expected {expected}, got `{got}`")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// What was expected.
        expected: &'static str,
        /// Its value.
        got: String,
    },
    /// No NVRTC library was found.
    #[error(
        "NVRTC was not found: expected libnvrtc.so of CUDA 11.2 or later (12.0 for sm_90a), searched {}; \
         install it (`pip install nvidia-cuda-nvrtc` in an active virtual environment is enough), \
         set PROXYATTN_NVRTC to the library or its directory, or compile on another machine (`proxyattn compile`) and set \
         PROXYATTN_AOT_DIR",
        searched.join(", ")
    )]
    NvrtcNotFound {
        /// Every searched location in order, with the reason it was rejected.
        searched: Vec<String>,
    },
    /// A library that was opened as NVRTC but lacks its functions.
    #[error(
        "`{}` lacks the symbol {symbol}: expected NVRTC of CUDA 11.2 or later; \
         set PROXYATTN_NVRTC to another library", library.display()
    )]
    NvrtcSymbol {
        /// The library.
        library: PathBuf,
        /// The missing symbol.
        symbol: &'static str,
    },
    /// An NVRTC that is too old to produce cubins.
    #[error(
        "`{}` is NVRTC {}.{}: expected 11.2 or later (12.0 for sm_90a); install a newer version, or set PROXYATTN_NVRTC to one",
        library.display(), version.0, version.1
    )]
    NvrtcTooOld {
        /// The library.
        library: PathBuf,
        /// Its version: major, minor.
        version: (u32, u32),
    },
    /// An NVRTC that cannot compile anything, usually because the installation is incomplete.
    #[error(
        "`{}` is NVRTC {}.{} and cannot compile: {why}; reinstall it, or set PROXYATTN_NVRTC to another one",
        library.display(), version.0, version.1
    )]
    NvrtcUnusable {
        /// The library.
        library: PathBuf,
        /// Its version: major, minor.
        version: (u32, u32),
        /// The result of compiling an empty kernel.
        why: String,
    },
    /// An NVRTC that does not support the GPU, which is too new or too old for it.
    #[error(
        "`{}` is NVRTC {}.{} and cannot compile for {target}{}: it supports {}; set PROXYATTN_NVRTC to {}",
        library.display(), version.0, version.1, introduced(*since), archs(supported), newer(*version, *since)
    )]
    NvrtcTarget {
        /// The library.
        library: PathBuf,
        /// Its version: major, minor.
        version: (u32, u32),
        /// The requested target: `sm_90a`.
        target: String,
        /// The CUDA version that introduced the target, if known ([`Target::since`](crate::jit::Target::since)).
        since: Option<(u32, u32)>,
        /// The supported targets, as `90` for `sm_90`.
        supported: Vec<u32>,
    },
    /// An NVRTC call that failed for a reason other than the kernel's source.
    #[error("{call} of `{}` failed: {why}{}", library.display(), indented(log))]
    NvrtcCall {
        /// The library.
        library: PathBuf,
        /// The function.
        call: &'static str,
        /// Its result code.
        code: i32,
        /// The library's description of the code, and what to do if that is known.
        why: String,
        /// The compilation log, if any.
        log: String,
    },
    /// A compilation that succeeded but did not return a cubin.
    #[error(
        "`{program}`: expected an ELF image for {target} from `{}`, got {got}; \
         set PROXYATTN_NVRTC to another version", library.display()
    )]
    NotACubin {
        /// The program.
        program: String,
        /// The requested target.
        target: String,
        /// The library.
        library: PathBuf,
        /// What was returned instead.
        got: String,
    },
    /// A cubin that the driver rejects, usually because the compiler is newer than the driver.
    #[error(
        "`{program}` for {target}: the driver, CUDA {driver}, rejects the cubin made by {compiler}: {why}"
    )]
    CubinRefused {
        /// The program.
        program: String,
        /// The architecture.
        target: String,
        /// The CUDA version that the driver supports and, if known, the driver's own version.
        driver: String,
        /// The compiler that made the cubin, with its version.
        compiler: String,
        /// The driver's description, and what to do.
        why: String,
    },
    /// A kernel whose source NVRTC rejects.
    #[error("`{program}` does not compile for {target}{}{}", source_note(source_path.as_deref()), indented(log))]
    Compile {
        /// The program.
        program: String,
        /// The architecture.
        target: String,
        /// Where the source was saved for inspection; `None` if there is no cache directory.
        source_path: Option<PathBuf>,
        /// The compiler's log.
        log: String,
    },
    /// An invalid program name, source or option.
    #[error("`{program}`: expected {expected}, got {got}")]
    Program {
        /// The program.
        program: String,
        /// What was expected.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// A kernel that is not stored, and must not be compiled.
    #[error(
        "`{program}` for {target} is not stored, and compiling it is not allowed (PROXYATTN_JIT=deny): \
         searched {searched}; {help}"
    )]
    JitDenied {
        /// The program.
        program: String,
        /// The architecture.
        target: String,
        /// The searched directories, or why they were not searched.
        searched: String,
        /// How to make the kernel.
        help: String,
    },
    /// A directory of cubins that cannot be read or written. Loading a kernel never returns this error.
    #[error("`{}`: {why}", path.display())]
    CubinFile {
        /// The directory, or a file in it.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// What to do about [`Error::DriverNotFound`].
    pub const INSTALL_DRIVER: &str =
        "install the NVIDIA driver (a container has to be started with it, `docker run --gpus all`)";
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn introduced(since: Option<(u32, u32)>) -> String {
    since.map_or(String::new(), |(major, minor)| format!(", which needs CUDA {major}.{minor}"))
}

fn newer(version: (u32, u32), since: Option<(u32, u32)>) -> String {
    match since.filter(|since| *since > version) {
        Some((major, minor)) => {
            format!("CUDA {major}.{minor} or later (`pip install nvidia-cuda-nvrtc` installs the newest)")
        }
        None => "a version that supports it".into(),
    }
}

fn archs(supported: &[u32]) -> String {
    supported.iter().map(|arch| format!("sm_{arch}")).collect::<Vec<_>>().join(", ")
}

fn source_note(path: Option<&Path>) -> String {
    match path {
        Some(path) => format!("; the source was saved as `{}`", path.display()),
        None => "; the source was not saved, because there is no cache directory".into(),
    }
}

/// A log on separate, indented lines; empty for an empty log.
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
            "`output`: cannot allocate 549755813888 bytes of host memory; pass fewer tokens, heads or sequences per call, \
             or free other memory"
        );
    }

    #[test]
    fn errors_travel_between_threads() {
        fn assert_bounds<T: Send + Sync + std::error::Error + 'static>() {}
        assert_bounds::<Error>();
    }
}
