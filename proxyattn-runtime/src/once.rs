//! Warnings that are given once a process: what is wrong with a machine is wrong with every kernel on it.

use core::fmt::Display;
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Whether nobody has asked about `what` before.
pub(crate) fn first(what: impl Into<String>) -> bool {
    static TOLD: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(what.into())
}

/// Warns of `what`; from the second time on it is for those who debug.
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
