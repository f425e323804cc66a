//! What can go wrong.

use std::path::PathBuf;

/// Why something was refused or failed. The message says what was expected, what was given and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model whose files do not fit together, or that no runner can run.
    #[error("the model's `{what}`: expected {expected}, got {got}")]
    Model {
        /// A field, tensor or key.
        what: String,
        /// What it has to be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// An argument that makes no sense.
    #[error("`{arg}`: expected {expected}, got {got}")]
    Argument {
        /// Its name.
        arg: String,
        /// What it has to be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A file that cannot be read, written or understood.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// An error of what a flag names: a file, a directory.
    #[error("{flag} {error}")]
    Flag {
        /// The flag: `--model`.
        flag: &'static str,
        /// What is wrong.
        error: Box<Error>,
    },
    /// An attribute's text with mistakes; one message for each.
    #[error("the configuration `{text}`: {}", .messages.join("; "))]
    Configuration {
        /// The text.
        text: String,
        /// What is wrong with it, and what to do.
        messages: Vec<String>,
    },
    /// Attention refused or failed.
    #[error(transparent)]
    Attention(#[from] proxyattn::Error),
    /// A device that is not there, or that failed.
    #[error("{0}")]
    Device(String),
}

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Model`].
    pub fn model(what: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Model { what: what.into(), expected: expected.into(), got: got.into() }
    }

    /// An [`Error::Argument`].
    pub fn argument(arg: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Argument { arg: arg.into(), expected: expected.into(), got: got.into() }
    }

    /// The same of what a flag names.
    #[must_use]
    pub fn of(self, flag: &'static str) -> Self {
        Self::Flag { flag, error: Box::new(self) }
    }

    /// An [`Error::File`].
    pub fn file(path: impl Into<PathBuf>, why: impl ToString) -> Self {
        Self::File { path: path.into(), why: why.to_string() }
    }
}
