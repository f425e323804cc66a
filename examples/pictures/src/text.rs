//! Numbers as a person writes them.

/// Tokens in units of 1024 where they are: `32K`.
pub(crate) fn tokens(tokens: f64) -> String {
    match tokens as u64 {
        tokens if tokens.is_multiple_of(1024) => format!("{}K", tokens / 1024),
        tokens => tokens.to_string(),
    }
}

/// Three figures, as many behind the point as that leaves.
pub(crate) fn figures(value: f64) -> String {
    let before = value.max(1.0).log10().floor() as usize + 1;
    let after = if value < 1.0 { 2 } else { 3usize.saturating_sub(before) };
    format!("{value:.after$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([1024.0, 524_288.0, 1000.0].map(tokens), ["1K", "512K", "1000"]);
        assert_eq!(
            [0.437, 1.344, 19.94, 208.1, 3300.0].map(figures),
            ["0.44", "1.34", "19.9", "208", "3300"]
        );
    }
}
