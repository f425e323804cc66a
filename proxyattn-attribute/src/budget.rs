//! `budget = dynamic(…)`, `top_k(blocks = …)`, `ratio(…)` or `all`.

use crate::args::{Arg, Form, flatten, shown, stream};
use crate::errors::Errors;
use crate::parse::{Places, entries};
use crate::{suggest, value};
use proc_macro2::{Delimiter, Group, Ident, TokenTree};
use proxyattn_codegen::{Key, Rows};

/// A budget as written: the parts of a dynamic one may be left to the preset.
pub(crate) enum RawBudget {
    Dynamic { gamma: Option<f64>, min_tokens: Option<u32>, rows: Option<Rows> },
    TopK { blocks: u32 },
    Ratio { share: f64 },
    All,
}

const KINDS: [&str; 4] = ["dynamic", "top_k", "ratio", "all"];

/// Reads the value of `budget`.
pub(crate) fn parse(arg: &Arg, places: &mut Places, errors: &mut Errors) -> Option<RawBudget> {
    if let Form::List(group) = &arg.form {
        let help = format!("write {}", value::usage(Key::Budget));
        errors.push_with_help(group, "`budget` takes one value after `=`, not a list", help);
        return None;
    }
    let tokens = value::single(Key::Budget, arg, errors)?;
    let (kind, list) = match tokens {
        [TokenTree::Ident(kind)] => (kind, None),
        [TokenTree::Ident(kind), TokenTree::Group(list)] if list.delimiter() == Delimiter::Parenthesis => {
            (kind, Some(list))
        }
        _ => {
            let message = format!("`budget` expects one of its kinds, found `{}`", shown(tokens));
            errors.push_with_help(
                stream(tokens),
                message,
                format_args!("write {}", value::usage(Key::Budget)),
            );
            return None;
        }
    };
    match kind.to_string().as_str() {
        "dynamic" => Some(dynamic(list, places, errors)),
        "top_k" => top_k(kind, list, places, errors),
        "ratio" => ratio(kind, list, places, errors),
        "all" => all(list, errors),
        other => {
            let message = format!("`budget` has no kind `{other}`");
            let choices = format!("the kinds are {}", suggest::list(&KINDS));
            value::unknown(&tokens[..1], message, other, &KINDS, choices, errors);
            None
        }
    }
}

fn dynamic(list: Option<&Group>, places: &mut Places, errors: &mut Errors) -> RawBudget {
    let known = [("gamma", Key::Gamma), ("min_tokens", Key::MinTokens), ("rows", Key::Rows)];
    let (mut gamma, mut min_tokens, mut rows) = (None, None, None);
    let list = list.map(Group::stream).unwrap_or_default();
    for (key, arg) in entries(list, Some("dynamic"), &known, errors) {
        places.insert(key, arg.place());
        match key {
            Key::Gamma => gamma = value::number(key, &arg, errors),
            Key::MinTokens => min_tokens = value::integer(key, &arg, errors),
            _ => rows = value::word(key, &arg, &[Rows::Ratio, Rows::Absolute], errors),
        }
    }
    RawBudget::Dynamic { gamma, min_tokens, rows }
}

fn top_k(kind: &Ident, list: Option<&Group>, places: &mut Places, errors: &mut Errors) -> Option<RawBudget> {
    let list = list.filter(|list| !list.stream().is_empty());
    let Some(list) = list else {
        let help = format!("write {}", value::usage(Key::TopKBlocks));
        errors.push_with_help(kind, "`top_k` needs the number of blocks", help);
        return None;
    };
    if let [TokenTree::Literal(number)] = &flatten(list.stream())[..] {
        let help = format!("write `top_k(blocks = {number})`");
        errors.push_with_help(number, "`top_k` takes its number by name", help);
        return None;
    }
    let parts = entries(list.stream(), Some("top_k"), &[("blocks", Key::TopKBlocks)], errors);
    let (key, arg) = parts.into_iter().next()?;
    places.insert(key, arg.place());
    value::integer(key, &arg, errors).map(|blocks| RawBudget::TopK { blocks })
}

fn ratio(kind: &Ident, list: Option<&Group>, places: &mut Places, errors: &mut Errors) -> Option<RawBudget> {
    let tokens = list.map(|list| flatten(list.stream())).unwrap_or_default();
    if tokens.is_empty() {
        let help = format!("write {}", value::usage(Key::Ratio));
        errors.push_with_help(kind, "`ratio` needs the share of blocks", help);
        return None;
    }
    if let [TokenTree::Ident(_), TokenTree::Punct(equals), number @ ..] = &tokens[..]
        && equals.as_char() == '='
    {
        let help = format!("write `ratio({})`", shown(number));
        errors.push_with_help(stream(&tokens), "`ratio` takes a number alone", help);
        return None;
    }
    places.insert(Key::Ratio, stream(&tokens));
    value::number_in(Key::Ratio, &tokens, errors).map(|share| RawBudget::Ratio { share })
}

fn all(list: Option<&Group>, errors: &mut Errors) -> Option<RawBudget> {
    let Some(list) = list else { return Some(RawBudget::All) };
    errors.push_with_help(list, "`all` takes no parts", "write `budget = all`");
    None
}
