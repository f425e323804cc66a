//! The value of a choice, such as `budget = dynamic(gamma = 0.9)`, read by the table that each of its kinds states.

use crate::args::{Arg, Form, flatten, is_comma, missing_comma, report_missing_comma, shown, stream};
use crate::errors::Errors;
use crate::parse::{Places, entries};
use crate::{suggest, value};
use proc_macro2::{Delimiter, Group, Ident, TokenTree};
use proxyattn_codegen::Key;
use proxyattn_codegen::syntax::{Choice, Kind, Part, Slot, Syntax, has_effect};

/// Reads the value of a choice. What a kind leaves out comes from `preset`, if that is of the same kind, and else has its
/// default; so has what could not be read.
pub(crate) fn parse<C: Choice>(
    arg: &Arg,
    preset: Option<C>,
    places: &mut Places,
    errors: &mut Errors,
) -> Option<C> {
    let key = C::KEY;
    if let Form::List(group) = &arg.form {
        let message = format!("`{key}` takes one value after `=`, not a list");
        errors.push_with_help(group, message, format_args!("write {}", value::usage(key)));
        return None;
    }
    let tokens = value::single(key, arg, errors)?;
    let (name, list) = match tokens {
        [TokenTree::Ident(name)] => (name, None),
        [TokenTree::Ident(name), TokenTree::Group(list)] if list.delimiter() == Delimiter::Parenthesis => {
            (name, Some(list))
        }
        _ => {
            let message = format!("`{key}` expects one of its kinds, found `{}`", shown(tokens));
            errors.push_with_help(stream(tokens), message, format_args!("write {}", value::usage(key)));
            return None;
        }
    };
    let is_named = |choice: &C| *name == choice.syntax().name;
    let Some(mut choice) = preset.into_iter().chain(C::KINDS.iter().copied()).find(is_named) else {
        unknown::<C>(name, errors);
        return None;
    };
    let read = choice.kind(|kind| Reader { syntax: kind.syntax(), name, places, errors }.read(kind, list));
    read.map(|()| choice)
}

fn unknown<C: Choice>(name: &Ident, errors: &mut Errors) {
    let (key, given) = (C::KEY, name.to_string());
    let names: Vec<_> = C::KINDS.iter().map(|kind| kind.syntax().name).collect();
    let choices = match &names[..] {
        [only] => format!("the only kind is `{only}`"),
        _ => format!("the kinds are {}", suggest::list(&names)),
    };
    let message = format!("`{key}` has no kind `{given}`");
    value::unknown(&[name.clone().into()], message, &given, &names, choices, errors);
}

/// Reads the parts of one kind.
struct Reader<'a> {
    syntax: &'static Syntax,
    name: &'a Ident,
    places: &'a mut Places,
    errors: &'a mut Errors,
}

impl Reader<'_> {
    fn read(mut self, kind: &mut dyn Kind, list: Option<&Group>) -> Option<()> {
        let Syntax { key, name, parts, .. } = *self.syntax;
        if let Some(list) = list.filter(|_| parts.is_empty()) {
            let help = format!("write `{key} = {name}`");
            self.errors.push_with_help(list, format_args!("`{name}` takes no parts"), help);
            return None;
        }
        let before = self.errors.count();
        let tokens = list.map(|list| flatten(list.stream())).unwrap_or_default();
        let written = match parts.first() {
            Some(part) if part.unnamed => self.with_unnamed(part, tokens),
            _ if self.lacks_its_name(kind, &tokens) => return None,
            _ => self.named(tokens),
        };
        let is_written = |part| written.iter().any(|(key, _)| *key == self.syntax.key_of(part));
        if let Some(part) = parts.iter().find(|part| part.needed.is_some() && !is_written(part)) {
            // Where something else was written instead, that is reported.
            if self.errors.count() == before {
                let message = format!("`{name}` needs {}", part.needed.unwrap_or_default());
                let help = format!("write `{}`", self.syntax.usage(part));
                self.errors.push_with_help(self.name, message, help);
            }
            return None;
        }
        let mut values = kind.parts();
        for (key, arg) in &written {
            self.places.insert(*key, arg.place());
            if let Some((_, slot)) = values.iter_mut().find(|(part, _)| self.syntax.key_of(part) == *key) {
                take(*key, arg, slot, self.errors);
            }
        }
        if self.errors.count() == before {
            self.check_effects(&written, &values);
        }
        Some(())
    }

    /// `split = heads, min_tokens = 512`
    fn named(&mut self, tokens: Vec<TokenTree>) -> Vec<(Key, Arg)> {
        let named = self.syntax.parts.iter().filter(|part| !part.unnamed);
        let known: Vec<_> = named.map(|part| (part.name, self.syntax.key_of(part))).collect();
        entries(tokens.into_iter().collect(), Some(self.syntax.name), &known, self.errors)
    }

    /// `0.1, split = heads`
    fn with_unnamed(&mut self, part: &'static Part, mut tokens: Vec<TokenTree>) -> Vec<(Key, Arg)> {
        let end = tokens.iter().position(is_comma).unwrap_or(tokens.len());
        let end = match missing_comma(&tokens[..end]) {
            Some(at) if at < end => at,
            _ => end,
        };
        let rest = tokens.split_off(end);
        report_missing_comma(&tokens, &rest, self.errors);
        let mut written = Vec::new();
        match &tokens[..] {
            [] => {}
            [TokenTree::Ident(given), TokenTree::Punct(equals), number @ ..] if equals.as_char() == '=' => {
                match self.syntax.part(&given.to_string()) {
                    Some(named) if named != part => {
                        return self.named(tokens.into_iter().chain(rest).collect());
                    }
                    _ => {
                        let name = self.syntax.name;
                        let message = format!("`{name}` takes its number without a name");
                        let help = format!("write `{name}({})`", shown(number));
                        self.errors.push_with_help(stream(&tokens), message, help);
                    }
                }
            }
            _ => {
                let arg = Arg { name: self.name.clone(), form: Form::Value(tokens) };
                written.push((self.syntax.key_of(part), arg));
            }
        }
        written.extend(self.named(rest));
        written
    }

    /// Reports a number that lacks its name: `top_k(64)`.
    fn lacks_its_name(&mut self, kind: &mut dyn Kind, tokens: &[TokenTree]) -> bool {
        let [TokenTree::Literal(number)] = tokens else { return false };
        let parts = kind.parts();
        let Some((part, _)) = parts.iter().find(|(_, slot)| slot.is_number()) else { return false };
        let name = self.syntax.name;
        let what = if parts.len() == 1 { "number" } else { "parts" };
        let help = format!("write `{name}({} = {number})`", part.name);
        self.errors.push_with_help(number, format_args!("`{name}` takes its {what} by name"), help);
        true
    }

    /// Reports the parts that were written and have no effect beside the others.
    fn check_effects(&mut self, written: &[(Key, Arg)], values: &[(&'static Part, Slot<'_>)]) {
        for (key, arg) in written {
            if let Key::Part(kind, part) = key
                && let Some((other, word)) = part.only_with
                && !has_effect(part, values)
            {
                let message = format!("`{key}` has no effect without `{other} = {word}`");
                let help = format!("write `{}`, or leave `{}` out", kind.usage(part), part.name);
                self.errors.push_with_help(&arg.name, message, help);
            }
        }
    }
}

/// Reads a part's value into its place, which keeps its own where there is none to read.
fn take(key: Key, arg: &Arg, slot: &mut Slot<'_>, errors: &mut Errors) {
    match slot {
        Slot::Number(number) => **number = value::number(key, arg, errors).unwrap_or(**number),
        Slot::Integer(integer) => **integer = value::integer(key, arg, errors).unwrap_or(**integer),
        Slot::Word(word) => {
            if let Some(name) = value::word(key, arg, word.names(), errors) {
                word.take(name);
            }
        }
    }
}

/// How to write a name that belongs inside the choice: one of its kinds, or a part of one.
pub(crate) fn home<C: Choice>(name: &str) -> Option<String> {
    let syntaxes = || C::KINDS.iter().map(|kind| kind.syntax());
    let kind = syntaxes().find(|kind| kind.name == name).map(|kind| kind.example.to_owned());
    let part = || syntaxes().find_map(|kind| Some(kind.usage(kind.part(name).filter(|part| !part.unnamed)?)));
    Some(format!("`{} = {}`", C::KEY, kind.or_else(part)?))
}

/// How the choice is written, kind by kind.
pub(crate) fn usage<C: Choice>() -> String {
    let usages: Vec<_> =
        C::KINDS.iter().map(|kind| format!("`{} = {}`", C::KEY, kind.syntax().example)).collect();
    match usages.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => usages.concat(),
    }
}
