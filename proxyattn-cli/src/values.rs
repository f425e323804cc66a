//! The values of flags: counts, sizes, ages, times.

use proxyattn_runtime::TokenCount;
use std::time::Duration;

/// A whole number from 1 on.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("expected a whole number from 1 on".into()),
    }
}

/// A number of tokens, or 0.
pub(crate) fn threshold(text: &str) -> Result<usize, String> {
    match text.trim() {
        "0" => Ok(0),
        other => other
            .parse()
            .map(TokenCount::get)
            .map_err(|_| "expected 0 or a number such as 4096 or 4K, up to 1024M".into()),
    }
}

/// A time in seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "expected a whole number of seconds".into())
}

/// A number of bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let units = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    with_unit(text, &units, "a number with B, KiB, MiB or GiB, for example 256MiB")
}

/// A time with its unit.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];
    with_unit(text, &units, "a number with s, min, h or d, for example 30d").map(Duration::from_secs)
}

/// A number with one of `units`.
fn with_unit(text: &str, units: &[(&str, u64)], expected: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
    let product =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    product.ok_or_else(|| format!("expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_have_a_unit() {
        assert_eq!((size("256MiB"), size("0B"), size("1 GiB")), (Ok(256 << 20), Ok(0), Ok(1 << 30)));
        assert_eq!(
            (age("30d"), age("45min")),
            (Ok(Duration::from_secs(2_592_000)), Ok(Duration::from_secs(2_700)))
        );
        for wrong in ["", "MiB", "5", "5MB", "-1MiB", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(age("1w").is_err());
    }

    #[test]
    fn counts_say_what_they_expect() {
        assert_eq!((count("3"), threshold("0"), threshold("4K")), (Ok(3), Ok(0), Ok(4096)));
        for wrong in ["0", "-1", "x", "", "99999999999999999999"] {
            assert_eq!(count(wrong), Err("expected a whole number from 1 on".into()), "{wrong}");
        }
        assert!(threshold("-1").unwrap_err().starts_with("expected 0 or a number such as"));
        assert_eq!(seconds("1.5"), Err("expected a whole number of seconds".into()));
    }
}
