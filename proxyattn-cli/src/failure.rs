//! What a command ends with, and the exit codes of the program.

use crate::style::{ERROR, painted};
use core::fmt;
use proxyattn_runtime::Error;

/// It did what it was asked.
pub(crate) const DONE: u8 = 0;
/// It went wrong on the way.
pub(crate) const FAILED: u8 = 1;
/// What it was given makes no sense; clap's code for the same.
pub(crate) const USAGE: u8 = 2;
/// What it needs is not on this machine: a GPU, its driver, NVRTC, a kernel that may not be compiled, or memory.
pub(crate) const MISSING: u8 = 3;
/// It looked, and what is stored is not as it should be.
pub(crate) const UNSOUND: u8 = 4;

/// The codes, for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; `doctor`: kernels run on a GPU here
  1  something went wrong on the way
  2  an argument, a configuration or an environment variable makes no sense
  3  something is missing on this machine: a GPU, its driver, an NVRTC that fits both, a kernel that may not be
     compiled, or memory; `doctor`: kernels run on the CPU alone
  4  what is stored is not as it should be: a damaged file (`cache verify`), or tiles that are slower than the
     default ones (`tune --check`)";

/// What a command prints.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) code: u8,
}

impl From<String> for Report {
    fn from(text: String) -> Self {
        Self { text, code: DONE }
    }
}

/// Why it prints nothing. The message says what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

/// What a command ends with.
pub(crate) type Outcome<T = Report> = Result<T, Failure>;

impl Failure {
    /// A GPU that cannot be used. What the library advises is for programs; `advice` is for whoever runs the command.
    pub(crate) fn no_gpu(error: Error, advice: &str) -> Self {
        let told = match &error {
            Error::Unavailable { what, why, .. } => format!("{what} is not available: {why}"),
            Error::Environment { .. } => return Self::from(error), // which says what to do itself
            other => other.to_string(),
        };
        Self { message: format!("{told}; {advice}"), ..Self::from(error) }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE }
    }
}

/// As it goes to stderr.
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
