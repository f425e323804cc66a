//! Reads a configuration, written as the arguments of `#[proxy_attention(…)]`, with the macro's own parser.

use crate::failure::{Failure, Outcome};
use crate::style::{ERROR, HINT, painted};
use core::ops::Range;
use proc_macro2::TokenStream;
use proxyattn_attribute::{Errors, read};
use proxyattn_codegen::Spec;

/// Parses `text`. The error shows every mistake with its position.
pub(crate) fn parse(text: &str) -> Outcome<Spec> {
    let tokens: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
        let message = "the configuration cannot be parsed\nhelp: check for unbalanced quotes and parentheses";
        failure(&[shown(text, error.span().byte_range(), message)])
    })?;
    let mut errors = Errors::default();
    let model = read(tokens, &mut errors);
    if errors.is_empty() {
        return Ok(model.spec);
    }
    let messages: Vec<_> =
        errors.iter().map(|error| shown(text, error.span().byte_range(), &error.to_string())).collect();
    Err(failure(&messages))
}

fn failure(messages: &[String]) -> Failure {
    Failure::usage(messages.join(&format!("\n\n{} ", painted(ERROR, "error:"))))
}

/// A message, the line it refers to with carets under the position, and the help.
fn shown(text: &str, place: Range<usize>, message: &str) -> String {
    let (message, help) = message.split_once("\nhelp: ").unwrap_or((message, ""));
    // An empty span, of something missing, marks the whole text.
    let place = if place.is_empty() { 0..text.len() } else { place };
    let before = text.get(..place.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let offset = text[line_start..place.start.max(line_start)].chars().count();
    let marked = text.get(place).unwrap_or(line);
    let length = marked.lines().next().unwrap_or("").chars().count().max(1);
    let carets = painted(ERROR, "^".repeat(length));
    let bar = painted(HINT, "|");
    let mut out = format!("{message}\n  {bar}\n  {bar} {line}\n  {bar} {}{carets}", " ".repeat(offset));
    if !help.is_empty() {
        out.push_str(&format!("\n  {} help: {help}", painted(HINT, "=")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        anstream::adapter::strip_str(&parse(text).unwrap_err().message).to_string()
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        assert_eq!(
            message("block = 64, stride(q = 5)"),
            "`stride(q)` must divide `block(q)`, and 5 does not divide 64\n  \
             |\n  \
             | block = 64, stride(q = 5)\n  \
             |                        ^\n  \
             = help: its divisors are 1, 2, 4, 8, 16, 32, 64"
        );
        // A span of several tokens, after multi-byte characters, on a separate line.
        let text = "crate = été,\n  scale = 1 / 8";
        assert!(
            message(text).contains("| scale = 1 / 8\n  |           ^^^^^".trim_start_matches("| ")),
            "{}",
            message(text)
        );
    }

    #[test]
    fn every_mistake_is_shown() {
        let shown = message("blok = 64, dtype = f64");
        assert!(
            shown.contains("unknown key `blok`") && shown.contains("error: `dtype` has no value `f64`"),
            "{shown}"
        );
    }

    #[test]
    fn text_that_is_no_tokens_is_refused() {
        for text in ["block(q = 64", "dtype = \"f16", "block = 64)", "'"] {
            assert!(message(text).starts_with("the configuration cannot be parsed\n"), "{}", message(text));
        }
    }

    #[test]
    fn no_text_is_the_default() {
        assert_eq!(parse("").unwrap(), Spec::DEFAULT);
        assert_eq!(parse("preset = paper").unwrap(), Spec::PAPER);
    }
}
