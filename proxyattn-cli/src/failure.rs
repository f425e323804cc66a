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
  2  an argument, a configuration or an environment
     variable is invalid
  3  this machine lacks a GPU, a driver, an NVRTC that fits
     both, a kernel that must not be compiled, or memory;
     `doctor`: no kernel can be run on a GPU
  4  a check failed: `cache verify` found damage, or
     `tune --check` found tiles slower than the defaults";

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
            Error::DriverNotFound { .. } => NO_DRIVER.into(),
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
            | Error::DriverNotFound { .. }
            | Error::NvrtcNotFound { .. }
            | Error::NvrtcSymbol { .. }
            | Error::NvrtcTooOld { .. }
            | Error::NvrtcUnusable { .. }
            | Error::NvrtcTarget { .. }
            | Error::CubinRefused { .. }
            | Error::JitDenied { .. } => MISSING,
            _ => FAILED,
        };
        Self { message: told(&error), code }
    }
}

const NO_DRIVER: &str = "no NVIDIA driver was found";

/// An error of the library, for the user of a command: with the flags that were typed, without advice for programs, and
/// without the places that `doctor --verbose` lists.
pub(crate) fn told(error: &Error) -> String {
    match error {
        Error::DriverNotFound { .. } => format!("{NO_DRIVER}; {}", Error::INSTALL_DRIVER),
        Error::NvrtcNotFound { searched } => nvrtc_not_found(searched),
        Error::Shape { .. } | Error::Overflow { .. } => with_flags(&error.to_string()),
        other => other.to_string().replace("; or use Device::cpu()", ""),
    }
}

/// What was named in the environment, and what to do.
fn nvrtc_not_found(searched: &[String]) -> String {
    let by = |variable: &str| searched.iter().find(|place| place.contains(&format!("({variable}: ")));
    let ahead = by("PROXYATTN_AOT_DIR").map_or(String::new(), |place| format!("{place}; "));
    match by("PROXYATTN_NVRTC") {
        Some(place) => format!("{ahead}NVRTC was not found: {place}; correct PROXYATTN_NVRTC, or unset it"),
        None => format!(
            "{ahead}NVRTC was not found: `pip install nvidia-cuda-nvrtc` in an active Python environment installs it; \
             `proxyattn doctor --verbose` lists where it was searched"
        ),
    }
}

/// The dimensions of a problem, and their flags.
const FLAGS: [(&str, &str); 5] = [
    ("batch", "--batch"),
    ("heads", "--heads"),
    ("kv_heads", "--kv-heads"),
    ("q_len", "--q-tokens"),
    ("kv_len", "--tokens"),
];

/// A message about dimensions, `` `kv_len` `` or `q_len = 8`, about their flags instead.
fn with_flags(message: &str) -> String {
    FLAGS.iter().fold(message.to_owned(), |text, (name, flag)| {
        let text = text.replace(&format!("`{name}`"), flag);
        text.replace(&format!(" {name} = "), &format!(" {flag} = "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_told_by_their_flags() {
        let error = |arg, expected: &str| Error::Shape { arg, expected: expected.into(), got: "4".into() };
        assert_eq!(
            told(&error("kv_len", "at least q_len = 8, because")),
            "--tokens: expected at least --q-tokens = 8, because, got 4"
        );
        assert_eq!(
            told(&error("kv_heads", "a divisor of heads = 32")),
            "--kv-heads: expected a divisor of --heads = 32, got 4"
        );
        assert_eq!(told(&error("heads", "16 heads")), "--heads: expected 16 heads, got 4");
    }

    #[test]
    fn a_search_is_not_listed() {
        let searched = vec!["CUDA_HOME (unset)".into(), "`libnvrtc.so` (no such file)".into()];
        let text = told(&Error::NvrtcNotFound { searched });
        assert!(text.contains("pip install") && !text.contains("CUDA_HOME") && text.len() < 160, "{text}");
        let searched = vec!["`/x` (PROXYATTN_NVRTC: no such file)".to_owned()];
        let text = told(&Error::NvrtcNotFound { searched });
        assert!(text.contains("`/x` (PROXYATTN_NVRTC: no such file); correct"), "{text}");
        let searched = vec!["`/k` (PROXYATTN_AOT_DIR: no `dense` for sm_80)".into(), "`/y` (gone)".into()];
        let text = told(&Error::NvrtcNotFound { searched });
        assert!(
            text.starts_with("`/k` (PROXYATTN_AOT_DIR: no `dense` for sm_80); NVRTC was not found"),
            "{text}"
        );
        let text = told(&Error::DriverNotFound { searched: vec!["libcuda.so (gone)".into()] });
        assert!(text.contains("install the NVIDIA driver") && !text.contains("libcuda"), "{text}");
    }
}
