//! Headings and human-readable numbers.

use crate::style::{TITLE, painted};
use core::cmp::Ordering;
use proxyattn_runtime::Problem;
use std::time::Duration;

/// The query and context lengths of a problem, in words.
pub(crate) fn tokens(problem: &Problem) -> String {
    let Problem { q_len, kv_len, .. } = problem;
    match q_len.cmp(kv_len) {
        Ordering::Equal => format!("{kv_len} tokens"),
        Ordering::Less => format!("the last {q_len} of {kv_len} tokens"),
        Ordering::Greater => format!("{q_len} query tokens over {kv_len} key tokens"),
    }
}

/// A heading.
pub(crate) fn heading(text: &str) -> String {
    format!("\n{}\n", painted(TITLE, text))
}

/// `3.1 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `3 d`: the largest unit that gives at least 1.
pub(crate) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "s"));
    format!("{} {unit}", seconds / length)
}

/// `1 cubin`, `2 cubins`.
pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_unit() {
        let sizes = [0, 1023, 1024, 1536, (1 << 20) - 1, 512 << 20, 3 << 40];
        let formatted = sizes.map(bytes);
        assert_eq!(formatted, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "512.0 MiB", "3.0 TiB"]);
        let ages = [0, 59, 60, 7_199, 86_400 * 3].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0 s", "59 s", "1 min", "1 h", "3 d"]);
        assert_eq!((count(1, "cubin"), count(0, "cubin")), ("1 cubin".into(), "0 cubins".into()));
    }
}
