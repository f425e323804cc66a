//! The one error type: what was wrong, what was expected, what was given.

use proxyattn_codegen::Violation;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why a kernel was not loaded, planned or run.
///
/// Every variant names the argument it is about. Nothing was written to an output when one of these comes back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape does not fit the kernel, or the other arguments.
    #[error("`{arg}`: expected {expected}, got {got}")]
    Shape {
        /// The argument: `q`, `k`, `v`, `out`, or a dimension of a problem.
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
    fn errors_travel_between_threads() {
        fn assert_bounds<T: Send + Sync + std::error::Error + 'static>() {}
        assert_bounds::<Error>();
    }
}
