//! Warnings that are given once per process: a problem of the machine affects every kernel on it.

use core::fmt::Display;
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Whether this is the first call for `what`.
pub(crate) fn first(what: impl Into<String>) -> bool {
    static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(what.into())
}

/// Logs a warning the first time for each `what`, and at debug level after that.
pub(crate) fn warn(what: impl Into<String>, message: &dyn Display) {
    if first(what) {
        tracing::warn!(target: "proxyattn", "{message}");
    } else {
        tracing::debug!(target: "proxyattn", "{message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_first_once() {
        assert!(first("one thing") && first("another"));
        assert!(!first("one thing") && !first("another"));
    }
}
