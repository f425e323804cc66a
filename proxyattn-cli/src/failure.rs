//! The result of a command, and the exit codes of the program.

use crate::style::{ERROR, painted};
use core::fmt;
use proxyattn_runtime::Error;

/// Success.
pub(crate) const DONE: u8 = 0;
/// A failure at run time.
pub(crate) const FAILED: u8 = 1;
/// An invalid argument, configuration or environment variable; clap's code for usage errors.
pub(crate) const USAGE: u8 = 2;
/// This machine lacks something: a GPU, its driver, NVRTC, a kernel that may not be compiled, or memory.
pub(crate) const MISSING: u8 = 3;
/// The check ran and failed.
pub(crate) const UNSOUND: u8 = 4;

/// The codes, for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success; `doctor`: kernels run on a GPU
  1  the command failed
  2  invalid argument, configuration or environment variable
  3  this machine lacks a GPU, its driver, an NVRTC that supports both, a kernel (and compiling is not allowed), or
     memory; `doctor`: kernels run on the CPU only, or cannot be loaded for the GPU
  4  a check failed: `cache verify` found damage, or `tune --check` found tiles that are slower than the defaults";

/// The output of a command.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) code: u8,
}

impl From<String> for Report {
    fn from(text: String) -> Self {
        Self { text, code: DONE }
    }
}

/// An error; the message says what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

/// The result of a command.
pub(crate) type Outcome<T = Report> = Result<T, Failure>;

impl Failure {
    /// A GPU that cannot be used. The library's advice is for programs; `advice` is for the user of the command.
    pub(crate) fn no_gpu(error: Error, advice: &str) -> Self {
        let reason = match &error {
            Error::Unavailable { what, why, .. } => format!("{what} is not available: {why}"),
            Error::Environment { .. } => return Self::from(error), // its message says what to do
            other => other.to_string(),
        };
        Self { message: format!("{reason}; {advice}"), ..Self::from(error) }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE }
    }
}

/// The form for stderr.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", painted(ERROR, "error:"), self.message.trim_end())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Shape { .. } | Error::Overflow { .. } | Error::Environment { .. } | Error::Spec { .. } => {
                USAGE
            }
            Error::Memory { .. }
            | Error::Unavailable { .. }
            | Error::NvrtcNotFound { .. }
            | Error::NvrtcSymbol { .. }
            | Error::NvrtcTooOld { .. }
            | Error::NvrtcUnusable { .. }
            | Error::NvrtcTarget { .. }
            | Error::CubinRefused { .. }
            | Error::JitDenied { .. } => MISSING,
            _ => FAILED,
        };
        Self { message: error.to_string(), code }
    }
}
