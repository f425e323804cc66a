//! Numbers of tokens, as people write them.

use crate::problem::MAX_TOKENS;
use core::{fmt, str::FromStr};

/// A number of tokens on a command line: `131072`, `128K` or `1M`, where K is 1024 and M is 1024 K. At least 1, at most 2³⁰.
///
/// ```
/// use proxyattn::{NoTokenCount, TokenCount};
///
/// assert_eq!("128K".parse::<TokenCount>().map(TokenCount::get), Ok(131_072));
/// assert_eq!("many".parse::<TokenCount>(), Err(NoTokenCount::Text));
/// assert_eq!("0".parse::<TokenCount>(), Err(NoTokenCount::Range));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenCount(usize);

impl TokenCount {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

/// Ignores case and surrounding white space.
impl FromStr for TokenCount {
    type Err = NoTokenCount;

    fn from_str(text: &str) -> Result<Self, NoTokenCount> {
        let text = text.trim();
        let (digits, factor) = match text.char_indices().last() {
            Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
            Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
            _ => (text, 1),
        };
        let number = digits.strip_prefix('-').unwrap_or(digits);
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoTokenCount::Text);
        }
        let count = digits.parse::<usize>().ok().and_then(|count| count.checked_mul(factor));
        match count {
            Some(count @ 1..=MAX_TOKENS) => Ok(Self(count)),
            _ => Err(NoTokenCount::Range),
        }
    }
}

impl fmt::Display for TokenCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not a number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoTokenCount {
    /// It is not a whole number.
    #[error("expected a number such as 131072 or 128K")]
    Text,
    /// It is a number that no sequence has.
    #[error("expected a number from 1 to {MAX_TOKENS} (1024M)")]
    Range,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_may_have_a_unit() {
        let read = |text: &str| text.parse::<TokenCount>().map(TokenCount::get);
        for (text, count) in
            [("1", 1), ("131072", 131_072), ("128K", 131_072), (" 32k ", 32_768), ("1M", 1 << 20)]
        {
            assert_eq!(read(text), Ok(count), "{text}");
        }
        assert_eq!((read("1024M"), read("1025M")), (Ok(1 << 30), Err(NoTokenCount::Range)));
        for text in ["0", "0K", "-1", "-4K", "99999999999999999999", "99999999999999999M"] {
            assert_eq!(read(text), Err(NoTokenCount::Range), "{text}");
        }
        for text in ["", "K", "-", "128KB", "1.5K", "1 K", "+1", "0x10", "x", "8192,"] {
            assert_eq!(read(text), Err(NoTokenCount::Text), "{text}");
        }
        assert_eq!(NoTokenCount::Text.to_string(), "expected a number such as 131072 or 128K");
        assert_eq!(NoTokenCount::Range.to_string(), "expected a number from 1 to 1073741824 (1024M)");
        assert_eq!("128K".parse::<TokenCount>().unwrap().to_string(), "131072");
    }
}
