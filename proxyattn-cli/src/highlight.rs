//! Colours for CUDA text: comments, directives, keywords, numbers and strings.

use anstyle::{AnsiColor, Style};

const COMMENT: Style = AnsiColor::BrightBlack.on_default();
const DIRECTIVE: Style = AnsiColor::Magenta.on_default();
const KEYWORD: Style = AnsiColor::Blue.on_default().bold();
const TYPE: Style = AnsiColor::Cyan.on_default();
const NUMBER: Style = AnsiColor::Yellow.on_default();
const STRING: Style = AnsiColor::Green.on_default();

const KEYWORDS: [&str; 27] = [
    "asm",
    "auto",
    "break",
    "case",
    "const",
    "constexpr",
    "continue",
    "default",
    "do",
    "else",
    "enum",
    "extern",
    "for",
    "if",
    "inline",
    "namespace",
    "return",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "typedef",
    "using",
    "volatile",
    "while",
    "typename",
];
const TYPES: [&str; 14] = [
    "bool", "char", "double", "float", "int", "long", "short", "signed", "unsigned", "void", "u32", "i32",
    "i64", "u64",
];

/// The text with colours. Without them it is the text.
pub(crate) fn cuda(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    let mut line_begins = true;
    while !rest.is_empty() {
        let (length, style) = token(rest, line_begins);
        let (token, after) = rest.split_at(length);
        match style {
            // A colour that goes over the end of a line confuses pagers.
            Some(style) => {
                let lines: Vec<_> = token.split('\n').map(|line| format!("{style}{line}{style:#}")).collect();
                out.push_str(&lines.join("\n"));
            }
            None => out.push_str(token),
        }
        line_begins = token.ends_with('\n') || line_begins && token.trim().is_empty();
        rest = after;
    }
    out
}

/// The length of the first token in bytes, and its colour. Never 0.
fn token(text: &str, line_begins: bool) -> (usize, Option<Style>) {
    let bytes = text.as_bytes();
    let word = |from: usize| {
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        from + bytes[from..].iter().take_while(|byte| inside(byte)).count()
    };
    let to_line_end = || text.find('\n').unwrap_or(text.len());
    match bytes[0] {
        b'/' if bytes.get(1) == Some(&b'/') => (to_line_end(), Some(COMMENT)),
        b'/' if bytes.get(1) == Some(&b'*') => {
            (text[2..].find("*/").map_or(text.len(), |end| end + 4), Some(COMMENT))
        }
        b'#' if line_begins => (word(1), Some(DIRECTIVE)),
        quote @ (b'"' | b'\'') => {
            let mut escaped = false;
            let end = bytes[1..].iter().position(|&byte| {
                let ends = byte == b'\n' || byte == quote && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            (end.map_or(text.len(), |end| end + 1 + usize::from(bytes[end + 1] == quote)), Some(STRING))
        }
        byte if byte.is_ascii_digit() => {
            let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
            (bytes.iter().take_while(|byte| inside(byte)).count(), Some(NUMBER))
        }
        byte if byte.is_ascii_alphabetic() || byte == b'_' => {
            let end = word(0);
            let style = match &text[..end] {
                name if KEYWORDS.contains(&name) || name.starts_with("__") => Some(KEYWORD),
                name if TYPES.contains(&name) => Some(TYPE),
                _ => None,
            };
            (end, style)
        }
        _ => (text.chars().next().map_or(1, char::len_utf8), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxyattn_codegen::{Arch, Spec, cuda::emit};

    #[test]
    fn every_kind_of_token_has_its_colour() {
        let text = "#define N 0x1fu // a comment\nextern \"C\" void f(float x) { asm volatile(\"\\\"a\"); /* b\nc */ }";
        let painted = cuda(text);
        for (style, token) in [
            (DIRECTIVE, "#define"),
            (NUMBER, "0x1fu"),
            (COMMENT, "// a comment"),
            (KEYWORD, "extern"),
            (STRING, "\"C\""),
            (TYPE, "float"),
            (STRING, "\"\\\"a\""),
            (COMMENT, "/* b"),
            (COMMENT, "c */"),
        ] {
            assert!(painted.contains(&format!("{style}{token}{style:#}")), "{token}: {painted:?}");
        }
    }

    #[test]
    fn without_colours_it_is_the_text() {
        for &arch in Arch::ALL {
            let text = emit(&Spec::DEFAULT, arch).source();
            assert_eq!(anstream::adapter::strip_str(&cuda(&text)).to_string(), text);
        }
        for text in ["", "\"", "'", "/*", "#", "é // ü", "\"open\nx"] {
            assert_eq!(anstream::adapter::strip_str(&cuda(text)).to_string(), text);
        }
    }
}
