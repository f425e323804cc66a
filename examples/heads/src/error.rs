//! Why there is no report.

/// Nothing is added to a report when one of these comes back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option out of its range.
    #[error("`{option}`: expected {expected}, got {got}")]
    Option {
        /// The field of [`Options`](crate::Options).
        option: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// A layer that cannot be measured, or does not fit the layers before it.
    #[error("{layer}: `{arg}`: expected {expected}, got {got}")]
    Layer {
        /// The layer's name.
        layer: String,
        /// `q` or `k`.
        arg: &'static str,
        /// What would have been right.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A layer of a shape that no kernel runs.
    #[error("{layer}: {error}")]
    Kernel {
        /// The layer's name.
        layer: String,
        /// What the runtime says.
        error: Box<proxyattn::Error>,
    },
    /// A text that is no report.
    #[error("expected the JSON of a report: {0}")]
    Stored(String),
    /// A report without layers.
    #[error("expected at least one layer, got none: add one before asking what to choose")]
    Empty,
}

/// Of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;
