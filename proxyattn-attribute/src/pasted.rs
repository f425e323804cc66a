//! An attribute that was copied with what surrounds it, instead of its arguments alone.

use crate::args::flatten;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The arguments of a pasted `#[proxy_attention(…)]`, which may stand among other attributes and before its struct. Any other
/// text is returned as it is.
pub fn arguments(text: TokenStream) -> TokenStream {
    let tokens = flatten(text.clone());
    let mut rest = &tokens[..];
    let mut found = None;
    while let [TokenTree::Punct(hash), TokenTree::Group(group), after @ ..] = rest
        && hash.as_char() == '#'
        && group.delimiter() == Delimiter::Bracket
    {
        found = found.or_else(|| of_attribute(group));
        rest = after;
    }
    let is_struct = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "struct");
    match found {
        Some(arguments) if rest.is_empty() || rest.iter().any(is_struct) => arguments,
        _ => text,
    }
}

/// What is between the parentheses of `proxy_attention(…)`, with or without a path before the name.
fn of_attribute(group: &Group) -> Option<TokenStream> {
    let tokens = flatten(group.stream());
    let (path, list) = match tokens.split_last() {
        Some((TokenTree::Group(list), path)) if list.delimiter() == Delimiter::Parenthesis => {
            (path, list.stream())
        }
        _ => (&tokens[..], TokenStream::new()),
    };
    let is_ours = matches!(path.last(), Some(TokenTree::Ident(name)) if name == "proxy_attention");
    is_ours.then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        arguments(text.parse().unwrap()).to_string()
    }

    #[test]
    fn the_arguments_are_taken_out() {
        for text in [
            "#[proxy_attention(block = 64, groups = 4)]",
            "#[proxyattn::proxy_attention(block = 64, groups = 4)]",
            "/// 128K prefill.\n#[proxy_attention(block = 64, groups = 4)]\n#[derive(Clone)]\npub struct Prefill;",
            "block = 64, groups = 4",
        ] {
            assert_eq!(read(text), "block = 64 , groups = 4", "{text}");
        }
        assert_eq!(
            (read("#[proxy_attention]"), read("#[proxy_attention()]")),
            (String::new(), String::new())
        );
        assert_eq!(read(""), "");
    }

    #[test]
    fn other_text_stays() {
        for text in ["#[derive(Clone)]", "#[proxy_attention(block = 64)] groups = 4", "# [64]", "#"] {
            assert_eq!(read(text), text.parse::<TokenStream>().unwrap().to_string(), "{text}");
        }
    }
}
