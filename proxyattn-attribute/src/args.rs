//! The outer syntax: comma-separated `key`, `key = value` and `key(…)`, before any key has a meaning.

use crate::errors::Errors;
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;

/// One entry of an argument list.
pub(crate) struct Arg {
    /// The key as written.
    pub(crate) name: Ident,
    /// What follows it.
    pub(crate) form: Form,
}

/// What follows a key.
pub(crate) enum Form {
    /// `causal`
    Bare,
    /// `block = 64`; empty for `block =`.
    Value(Vec<TokenTree>),
    /// `block(q = 128, kv = 64)`
    List(Group),
}

impl Arg {
    /// Where an error about the value points: at the value, or at the key where there is none.
    pub(crate) fn place(&self) -> TokenStream {
        match &self.form {
            Form::Value(tokens) if !tokens.is_empty() => stream(tokens),
            Form::List(group) => group.to_token_stream(),
            Form::Value(_) | Form::Bare => self.name.to_token_stream(),
        }
    }
}

/// Splits an argument list. An entry that cannot be read is reported and left out.
pub(crate) fn parse(list: TokenStream, errors: &mut Errors) -> Vec<Arg> {
    split_commas(flatten(list)).into_iter().flat_map(|entry| parse_entry(entry, errors)).collect()
}

/// One entry, or several where commas are missing between them.
fn parse_entry(mut tokens: Vec<TokenTree>, errors: &mut Errors) -> Vec<Arg> {
    let mut args = Vec::new();
    while !tokens.is_empty() {
        let next = missing_comma(&tokens).map(|at| tokens.split_off(at)).unwrap_or_default();
        report_missing_comma(&tokens, &next, errors);
        args.extend(parse_one(tokens, errors));
        tokens = next;
    }
    args
}

/// Where the next entry begins inside `tokens`, if a comma was forgotten.
pub(crate) fn missing_comma(tokens: &[TokenTree]) -> Option<usize> {
    let starts_entry = |at: usize| match (&tokens[at - 1], &tokens[at], tokens.get(at + 1)) {
        // After `=` or `::` an identifier is part of the value, and so are both sides of `as`.
        (TokenTree::Punct(_), ..) => false,
        (TokenTree::Ident(word), ..) | (_, TokenTree::Ident(word), _) if word == "as" => false,
        (_, TokenTree::Ident(_), Some(TokenTree::Punct(punct))) => punct.as_char() == '=',
        (TokenTree::Literal(_) | TokenTree::Group(_) | TokenTree::Ident(_), TokenTree::Ident(_), _) => true,
        _ => false,
    };
    (1..tokens.len()).find(|&at| starts_entry(at))
}

/// Reports that an entry begins in the middle of another, if it does.
pub(crate) fn report_missing_comma(before: &[TokenTree], next: &[TokenTree], errors: &mut Errors) {
    if let Some(found) = next.first().filter(|token| !is_comma(token)) {
        let message = format!("a comma is missing before `{found}`");
        errors.push_with_help(found, message, format_args!("write `{}, {}`", shown(before), shown(next)));
    }
}

fn parse_one(tokens: Vec<TokenTree>, errors: &mut Errors) -> Option<Arg> {
    let mut rest = tokens.into_iter();
    let name = match rest.next()? {
        TokenTree::Ident(name) => name,
        other => {
            let message = format!("expected a key, found `{}`", shown(core::slice::from_ref(&other)));
            errors.push_with_help(other, message, "write `key = value`, for example `block = 64`");
            return None;
        }
    };
    let form = match rest.next() {
        None => Form::Bare,
        Some(TokenTree::Punct(punct)) if punct.as_char() == '=' => Form::Value(rest.by_ref().collect()),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Form::List(group),
        Some(other) => {
            let found = shown(core::slice::from_ref(&other));
            let message = format!("expected `=` or `(…)` after `{name}`, found `{found}`");
            // `block: 64` or `block 64`
            let colon = matches!(&other, TokenTree::Punct(punct) if punct.as_char() == ':');
            let value: Vec<_> = (!colon).then(|| other.clone()).into_iter().chain(rest).collect();
            match &value[..] {
                [] => errors.push_with_help(other, message, format_args!("write `{name} = …`")),
                value => {
                    errors.push_with_help(other, message, format_args!("write `{name} = {}`", shown(value)))
                }
            }
            return None;
        }
    };
    let rest: Vec<_> = rest.collect();
    if !rest.is_empty() {
        errors.push(
            stream(&rest),
            format_args!("expected a comma after `{name}(…)`, found `{}`", shown(&rest)),
        );
    }
    Some(Arg { name, form })
}

/// The entries between commas. Trailing commas and empty entries are ignored.
pub(crate) fn split_commas(tokens: Vec<TokenTree>) -> Vec<Vec<TokenTree>> {
    let entries = tokens.split(is_comma).filter(|entry| !entry.is_empty());
    entries.map(<[TokenTree]>::to_vec).collect()
}

pub(crate) fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

/// The tokens without the invisible groups that `macro_rules!` puts around what it substitutes.
pub fn flatten(tokens: TokenStream) -> Vec<TokenTree> {
    let open = |token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => flatten(group.stream()),
        other => vec![other],
    };
    tokens.into_iter().flat_map(open).collect()
}

/// `tokens` as a place for an error.
pub(crate) fn stream(tokens: &[TokenTree]) -> TokenStream {
    tokens.iter().cloned().collect()
}

/// `tokens` as text for a message, truncated if long.
pub(crate) fn shown(tokens: &[TokenTree]) -> String {
    const LONGEST: usize = 48;
    let text = match tokens {
        // A negative number is two tokens, but reads as one.
        [TokenTree::Punct(minus), TokenTree::Literal(number)] if minus.as_char() == '-' => {
            format!("-{number}")
        }
        // Compilers differ in the spaces that they put between tokens.
        _ => stream(tokens).to_string().replace(" ,", ",").replace(" (", "("),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
