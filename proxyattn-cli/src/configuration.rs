//! Reads a configuration, written as `#[proxy_attention(…)]` or its arguments, with the macro's own parser.

use crate::failure::{Failure, Outcome};
use crate::style::{ERROR, HINT, painted};
use crate::width::Width;
use core::ops::Range;
use proc_macro2::TokenStream;
use proxyattn_attribute::{Errors, arguments, read};
use proxyattn_codegen::Spec;

/// Parses `text`. The error shows every mistake with its position.
pub(crate) fn parse(text: &str) -> Outcome<Spec> {
    let columns = Width::stderr().columns();
    let tokens: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
        let message = "the configuration cannot be parsed\nhelp: check for unbalanced quotes and parentheses";
        failure(&[shown(text, error.span().byte_range(), message, columns)])
    })?;
    let mut errors = Errors::default();
    let model = read(arguments(tokens), &mut errors);
    if errors.is_empty() {
        return Ok(model.spec);
    }
    let told = errors.iter().map(|error| shown(text, error.span().byte_range(), &error.to_string(), columns));
    Err(failure(&told.collect::<Vec<_>>()))
}

/// Words of a command line that may be a configuration without its quotes, as one argument: `block=64 groups=4` is
/// `block=64, groups=4`.
pub(crate) fn quoted(words: &[&str]) -> Option<String> {
    let is_one = |text: &String| {
        text.parse().is_ok_and(|tokens| {
            let mut errors = Errors::default();
            read(arguments(tokens), &mut errors);
            errors.is_empty()
        })
    };
    [" ", ", "].map(|between| words.join(between)).into_iter().find(is_one)
}

fn failure(messages: &[String]) -> Failure {
    Failure::usage(messages.join(&format!("\n\n{} ", painted(ERROR, "error:"))))
}

/// A message, the line it refers to with carets under the position, and the help; the line is cut to what fits.
fn shown(text: &str, place: Range<usize>, message: &str, columns: usize) -> String {
    let (message, help) = message.split_once("\nhelp: ").unwrap_or((message, ""));
    // An empty span, of something missing, marks the whole text.
    let place = if place.is_empty() { 0..text.len() } else { place };
    let before = text.get(..place.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let offset = text[line_start..place.start.max(line_start)].chars().count();
    let marked = text.get(place).unwrap_or(line);
    let length = marked.lines().next().unwrap_or("").chars().count().max(1);
    let (line, offset, length) = cut(line, offset, length, columns.saturating_sub(MARGIN));
    let carets = painted(ERROR, "^".repeat(length));
    let bar = painted(HINT, "|");
    let mut out = format!("{message}\n  {bar}\n  {bar} {line}\n  {bar} {}{carets}", " ".repeat(offset));
    if !help.is_empty() {
        out.push_str(&format!("\n  {} help: {help}", painted(HINT, "=")));
    }
    out
}

/// Columns before the line that a message refers to.
const MARGIN: usize = 4;

/// The part of a line around the place that is marked, in at most `room` characters, and where the mark is in it. It is cut
/// between words where there is a space.
fn cut(line: &str, offset: usize, length: usize, room: usize) -> (String, usize, usize) {
    const BEFORE: &str = "… ";
    const AFTER: &str = " …";
    let chars: Vec<char> = line.chars().collect();
    if chars.len() <= room {
        return (line.to_owned(), offset, length);
    }
    let room = room.saturating_sub(BEFORE.chars().count() + AFTER.chars().count()).max(1);
    let length = length.min(room);
    let end = offset + length;
    // What the marked place leaves free is for what comes before it, but for a half if there is as much behind it.
    let behind = (chars.len() - end).min((room - length) / 2);
    let from = offset.saturating_sub(room - length - behind);
    let is_space = |at: &usize| chars[*at] == ' ';
    let from = if from == 0 { 0 } else { (from..offset).find(is_space).map_or(offset, |space| space + 1) };
    let to = (from + room).min(chars.len());
    let to = if to == chars.len() { to } else { (end..to).rev().find(is_space).unwrap_or(end) };
    let (before, after) = (if from > 0 { BEFORE } else { "" }, if to < chars.len() { AFTER } else { "" });
    let part: String = chars[from..to].iter().collect();
    (format!("{before}{part}{after}"), before.chars().count() + offset - from, length)
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
    fn a_long_line_is_cut_around_the_mistake() {
        let text = "head_dim = 64, block = 64, groups = 4, heads = 32, kv_heads = 8, dtype = bf16, causal = false, scale = 1";
        for (word, columns) in
            [("head_dim", 40), ("kv_heads", 40), ("causal", 40), ("scale", 30), ("kv_heads", 20)]
        {
            let at = text.find(word).unwrap();
            let told = shown(text, at..at + word.len(), "message", columns);
            let told = anstream::adapter::strip_str(&told).to_string();
            let lines: Vec<_> = told.lines().collect();
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{told}");
            let mark = lines[3].chars().position(|c| c == '^').unwrap();
            let marked: String = lines[2].chars().skip(mark).take(lines[3].matches('^').count()).collect();
            assert_eq!(marked, word, "{told}");
        }
    }

    #[test]
    fn a_pasted_attribute_is_read_and_marked() {
        assert_eq!(parse("#[proxy_attention(groups = 4)]\npub struct Prefill;").unwrap().groups, Some(4));
        let told = message("#[proxy_attention(groups = 0)]");
        let indent = " ".repeat("#[proxy_attention(groups = ".len());
        assert!(told.ends_with(&format!("| #[proxy_attention(groups = 0)]\n  | {indent}^")), "{told}");
    }

    #[test]
    fn words_without_quotes_are_put_together() {
        assert_eq!(quoted(&["block=64", "groups=4"]).as_deref(), Some("block=64, groups=4"));
        assert_eq!(
            quoted(&["block", "=", "64,", "groups", "=", "4"]).as_deref(),
            Some("block = 64, groups = 4")
        );
        assert_eq!(quoted(&["causal", "groups=4"]).as_deref(), Some("causal, groups=4"));
        assert_eq!(quoted(&["bench", "groups=4"]), None);
    }

    #[test]
    fn no_text_is_the_default() {
        assert_eq!(parse("").unwrap(), Spec::DEFAULT);
        assert_eq!(parse("preset = paper").unwrap(), Spec::PAPER);
    }
}
