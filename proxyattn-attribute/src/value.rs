//! Reads one value of a key: an integer, a number, a flag, or one of a few words.

use crate::args::{Arg, Form, shown, stream};
use crate::errors::Errors;
use crate::{choice, suggest};
use core::fmt::Display;
use proc_macro2::{Delimiter, Group, TokenTree};
use proxyattn_codegen::{Budget, Key, Scorer};
use syn::Lit;

/// An integer that is written out, without a sign or a suffix.
pub(crate) fn integer(key: Key, arg: &Arg, errors: &mut Errors) -> Option<u32> {
    let tokens = single(key, arg, errors)?;
    let (negative, literal) = literal(tokens);
    let found = shown(tokens);
    let (problem, help) = match literal {
        Some(Lit::Int(int)) if negative => {
            let digits = int.base10_digits().trim_start_matches('-');
            (format!("must not be negative, found `{found}`"), instead_of_negative(key, digits))
        }
        Some(Lit::Int(int)) if int.suffix().is_empty() => match int.base10_parse() {
            Ok(value) => return Some(value),
            Err(_) => {
                errors.push(
                    stream(tokens),
                    format_args!("`{key}` must be at most {}, found `{found}`", u32::MAX),
                );
                return None;
            }
        },
        Some(Lit::Int(int)) => (
            format!("expects an integer without a suffix, found `{found}`"),
            format!("write {}", int.base10_digits()),
        ),
        Some(Lit::Float(float)) => match float.base10_parse::<f64>() {
            Ok(value) if value.fract() == 0.0 && value <= f64::from(u32::MAX) && !negative => {
                (format!("expects an integer, found `{found}`"), format!("write {value}"))
            }
            _ => return mismatch(key, "an integer", tokens, errors),
        },
        _ => return mismatch(key, "an integer", tokens, errors),
    };
    errors.push_with_help(stream(tokens), format_args!("`{key}` {problem}"), help);
    None
}

/// What to write instead of a negative number. Other libraries write -1 for none, or for any.
fn instead_of_negative(key: Key, digits: &str) -> String {
    match key {
        Key::KeepSink | Key::KeepLocal => "write 0 to keep none".to_owned(),
        Key::Heads | Key::KvHeads if digits == "1" => format!("leave `{key}` out for any number"),
        _ => format!("write {digits}"),
    }
}

/// A number with or without a fraction. A rule checks its range, so a sign is accepted here.
pub(crate) fn number(key: Key, arg: &Arg, errors: &mut Errors) -> Option<f64> {
    let tokens = single(key, arg, errors)?;
    let (negative, literal) = literal(tokens);
    let value = match literal {
        Some(Lit::Int(int)) if int.suffix().is_empty() => int.base10_parse::<f64>().ok(),
        Some(Lit::Float(float)) if float.suffix().is_empty() => float.base10_parse::<f64>().ok(),
        _ => None,
    };
    match value {
        // `abs`, because the sign may be inside the literal as well.
        Some(value) => Some(if negative { -value.abs() } else { value }),
        None => mismatch(key, "a number", tokens, errors),
    }
}

/// `true`, `false`, or nothing at all, which is `true`.
pub(crate) fn flag(key: Key, arg: &Arg, errors: &mut Errors) -> Option<bool> {
    if let Form::Bare = arg.form {
        return Some(true);
    }
    let tokens = single(key, arg, errors)?;
    match (literal(tokens), tokens) {
        ((false, Some(Lit::Bool(flag))), _) => Some(flag.value),
        // `yes`; a constant is not spelled like this.
        (_, [TokenTree::Ident(word)]) if word.to_string().contains(char::is_lowercase) => {
            let message = format!("`{key}` expects `true` or `false`, found `{word}`");
            errors.push_with_help(word, message, format_args!("write {}", usage(key)));
            None
        }
        _ => mismatch(key, "`true` or `false`", tokens, errors),
    }
}

/// One of the words in `known`, as their `Display` spells them.
pub(crate) fn word<T: Copy + Display>(key: Key, arg: &Arg, known: &[T], errors: &mut Errors) -> Option<T> {
    let tokens = single(key, arg, errors)?;
    word_in(key, tokens, known, errors)
}

/// Like [`word`], for an entry of a list: `arch(sm_80)`.
pub(crate) fn word_in<T: Copy + Display>(
    key: Key,
    tokens: &[TokenTree],
    known: &[T],
    errors: &mut Errors,
) -> Option<T> {
    let names: Vec<String> = known.iter().map(T::to_string).collect();
    let [TokenTree::Ident(given)] = tokens else {
        let (_, literal) = literal(tokens);
        let help = match literal {
            Some(Lit::Str(text)) if names.contains(&text.value()) => {
                format!("write it without quotes: {}", text.value())
            }
            _ => choices(&names),
        };
        let message = format!("`{key}` expects a word, found `{}`", shown(tokens));
        errors.push_with_help(stream(tokens), message, help);
        return None;
    };
    let given = given.to_string();
    if let Some(at) = names.iter().position(|name| *name == given) {
        return Some(known[at]);
    }
    unknown(tokens, format!("`{key}` has no value `{given}`"), &given, &names, choices(&names), errors);
    None
}

/// Reports a name that is not in `known`, and suggests the closest one.
pub(crate) fn unknown<T: AsRef<str>>(
    at: &[TokenTree],
    message: String,
    given: &str,
    known: &[T],
    choices: String,
    errors: &mut Errors,
) {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let help = match suggest::closest(given, &known) {
        Some(only) if known.len() == 1 => format!("did you mean `{only}`? it is the only one"),
        Some(meant) => format!("did you mean `{meant}`? {choices}"),
        None => choices,
    };
    errors.push_with_help(stream(at), message, help);
}

/// The list of a key that takes only a list: `keep(sink = 1)`.
pub(crate) fn group<'a>(key: Key, arg: &'a Arg, errors: &mut Errors) -> Option<&'a Group> {
    if let Form::List(group) = &arg.form {
        return Some(group);
    }
    let message = match &arg.form {
        Form::Value(_) => format!("`{key}` takes a list in parentheses, not `=`"),
        _ => format!("`{key}` needs a list in parentheses"),
    };
    errors.push_with_help(arg.place(), message, format_args!("write {}", usage(key)));
    None
}

/// The tokens after `=` of a key that takes exactly one value.
pub(crate) fn single<'a>(key: Key, arg: &'a Arg, errors: &mut Errors) -> Option<&'a [TokenTree]> {
    let message = match &arg.form {
        Form::Value(tokens) if !tokens.is_empty() => return Some(tokens),
        Form::List(_) => format!("`{key}` takes one value after `=`, not a list"),
        Form::Value(_) | Form::Bare => format!("`{key}` needs a value"),
    };
    errors.push_with_help(arg.place(), message, format_args!("write {}", usage(key)));
    None
}

/// Reports a value of the wrong type. Returns `None` so that callers can return it.
pub(crate) fn mismatch<T>(key: Key, expected: &str, tokens: &[TokenTree], errors: &mut Errors) -> Option<T> {
    let help = match (tokens, literal(tokens).1) {
        (_, Some(Lit::Str(text))) if text.value().parse::<f64>().is_ok() => {
            format!("write it without quotes: {}", text.value())
        }
        (_, Some(_)) => format!("write {}", usage(key)),
        ([TokenTree::Group(group)], _) if group.delimiter() == Delimiter::Parenthesis => {
            format!("write {}", usage(key))
        }
        _ => "write the value itself: the attribute is expanded before constants and expressions are \
              evaluated"
            .to_owned(),
    };
    errors.push_with_help(
        stream(tokens),
        format_args!("`{key}` expects {expected}, found `{}`", shown(tokens)),
        help,
    );
    None
}

/// The literal in `tokens`, and whether it has a minus sign.
fn literal(tokens: &[TokenTree]) -> (bool, Option<Lit>) {
    let (negative, rest) = match tokens {
        [TokenTree::Punct(minus), rest @ ..] if minus.as_char() == '-' => (true, rest),
        _ => (false, tokens),
    };
    let literal = match rest {
        [token @ (TokenTree::Literal(_) | TokenTree::Ident(_))] => syn::parse2(token.clone().into()).ok(),
        _ => None,
    };
    match &literal {
        // A token built by another macro may hold its sign inside.
        Some(Lit::Int(int)) if int.base10_digits().starts_with('-') => (true, literal),
        _ => (negative, literal),
    }
}

fn choices(names: &[String]) -> String {
    match names {
        [only] => format!("the only value is `{only}`"),
        _ => format!("the values are {}", suggest::list(names)),
    }
}

/// How a key is written, for the help of an error.
pub(crate) fn usage(key: Key) -> String {
    let usage = match key {
        Key::HeadDim => "`head_dim = 128`",
        Key::Block => "`block = 64` or `block(q = 128, kv = 64)`",
        Key::BlockQ => "`block(q = 128)`",
        Key::BlockKv => "`block(kv = 64)`",
        Key::Groups => "`groups = 4`",
        Key::Heads => "`heads = 32`",
        Key::KvHeads => "`kv_heads = 8`",
        Key::Stride => "`stride = 4` or `stride(q = 4, kv = 1)`",
        Key::StrideQ => "`stride(q = 4)`",
        Key::StrideKv => "`stride(kv = 1)`",
        Key::Dtype => "`dtype = bf16`",
        Key::Causal => "`causal` or `causal = false`",
        Key::Scale => "`scale = 0.125`",
        Key::Scorer => return choice::usage::<Scorer>(),
        Key::Budget => return choice::usage::<Budget>(),
        Key::Part(kind, part) => return format!("`{}`", kind.usage(part)),
        Key::Keep => "`keep(sink = 1, local = 0)`",
        Key::KeepSink => "`keep(sink = 1)`",
        Key::KeepLocal => "`keep(local = 0)`",
        Key::Arch => "`arch(sm_80, sm_90a)`",
        Key::Preset => "`preset = paper`",
        Key::Crate => "`crate = path::to::proxyattn`",
    };
    usage.to_owned()
}
