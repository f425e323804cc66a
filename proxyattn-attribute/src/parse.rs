//! Interprets the arguments: keys, value types, duplicates.

use crate::args::{self, Arg, Form, flatten, split_commas, stream};
use crate::errors::Errors;
use crate::{choice, suggest, value};
use core::fmt;
use proc_macro2::{TokenStream, TokenTree};
use proxyattn_codegen::{Arch, ArchSet, Budget, Dtype, Key, Scorer, Spec};
use quote::ToTokens;
use std::collections::BTreeMap;
use syn::parse::Parser;

/// The position of each written key's value.
pub(crate) type Places = BTreeMap<Key, TokenStream>;

/// What the user wrote, key by key; `None` is a key that is absent or could not be read.
#[derive(Default)]
pub(crate) struct Raw {
    pub(crate) head_dim: Option<u32>,
    pub(crate) block: RawPair,
    pub(crate) groups: Option<u32>,
    pub(crate) heads: Option<u32>,
    pub(crate) kv_heads: Option<u32>,
    pub(crate) stride: RawPair,
    pub(crate) dtype: Option<Dtype>,
    pub(crate) causal: Option<bool>,
    pub(crate) scale: Option<f64>,
    pub(crate) scorer: Option<Scorer>,
    pub(crate) budget: Option<Budget>,
    pub(crate) sink: Option<u32>,
    pub(crate) local: Option<u32>,
    pub(crate) arch: Option<ArchSet>,
    pub(crate) preset: Option<Preset>,
    pub(crate) facade: Option<TokenStream>,
    pub(crate) places: Places,
}

/// A key with a query and a key side: `block`, `stride`.
#[derive(Clone, Copy, Default)]
pub(crate) struct RawPair {
    pub(crate) q: Option<u32>,
    pub(crate) kv: Option<u32>,
}

/// A named setting that other keys start from.
#[derive(Clone, Copy)]
pub(crate) enum Preset {
    /// What the paper evaluates.
    Paper,
}

const PRESETS: &[Preset] = &[Preset::Paper];

impl Preset {
    /// The configuration that the other keys start from.
    pub(crate) fn spec(self) -> Spec {
        match self {
            Preset::Paper => Spec::PAPER,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Preset::Paper => "paper",
        })
    }
}

/// Reads the attribute's arguments.
pub(crate) fn parse(attr: TokenStream, errors: &mut Errors) -> Raw {
    let mut raw = Raw::default();
    let known: Vec<_> = Key::TOP_LEVEL.iter().map(|&key| (key.as_str(), key)).collect();
    let entries = entries(attr, None, &known, errors);
    let preset = preset(&entries);
    for (key, arg) in entries {
        raw.places.insert(key, arg.place());
        match key {
            Key::HeadDim => raw.head_dim = value::integer(key, &arg, errors),
            Key::Block => raw.block = pair([Key::BlockQ, Key::BlockKv], key, &arg, &mut raw.places, errors),
            Key::Groups => raw.groups = value::integer(key, &arg, errors),
            Key::Heads => raw.heads = value::integer(key, &arg, errors),
            Key::KvHeads => raw.kv_heads = value::integer(key, &arg, errors),
            Key::Stride => {
                raw.stride = pair([Key::StrideQ, Key::StrideKv], key, &arg, &mut raw.places, errors)
            }
            Key::Dtype => raw.dtype = value::word(key, &arg, Dtype::ALL, errors),
            Key::Causal => raw.causal = value::flag(key, &arg, errors),
            Key::Scale => raw.scale = value::number(key, &arg, errors),
            Key::Scorer => {
                raw.scorer = choice::parse(&arg, preset.map(|preset| preset.scorer), &mut raw.places, errors)
            }
            Key::Budget => {
                raw.budget = choice::parse(&arg, preset.map(|preset| preset.budget), &mut raw.places, errors)
            }
            Key::Keep => keep(&arg, &mut raw, errors),
            Key::Arch => raw.arch = arch(&arg, errors),
            Key::Preset => raw.preset = value::word(key, &arg, PRESETS, errors),
            Key::Crate => raw.facade = path(&arg, errors),
            // The other keys are parts, which `entries` does not return at the top level.
            _ => {}
        }
    }
    raw
}

/// What the choices start from: the preset, wherever it stands. A mistake in it is reported in its place.
fn preset(entries: &[(Key, Arg)]) -> Option<Spec> {
    let (key, arg) = entries.iter().find(|(key, _)| *key == Key::Preset)?;
    value::word(*key, arg, PRESETS, &mut Errors::default()).map(Preset::spec)
}

/// The arguments whose key is in `known`; the others, and those that come twice, are reported.
///
/// `owner` is the name that the list belongs to, and `None` for the attribute itself.
pub(crate) fn entries(
    list: TokenStream,
    owner: Option<&str>,
    known: &[(&str, Key)],
    errors: &mut Errors,
) -> Vec<(Key, Arg)> {
    let mut found: Vec<(Key, Arg)> = Vec::new();
    for arg in args::parse(list, errors) {
        let name = arg.name.to_string();
        match known.iter().find(|(known, _)| *known == name) {
            None => unknown(&arg, &name, owner, known, errors),
            Some((_, key)) if found.iter().any(|(other, _)| other == key) => {
                let message = format!("`{key}` is given twice");
                errors.push_with_help(&arg.name, message, "keep one of the two");
            }
            Some((_, key)) => found.push((*key, arg)),
        }
    }
    found
}

fn unknown(arg: &Arg, name: &str, owner: Option<&str>, known: &[(&str, Key)], errors: &mut Errors) {
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    let at = [TokenTree::Ident(arg.name.clone())];
    let (message, choices) = match (owner, &names[..]) {
        (None, _) => (format!("unknown key `{name}`"), format!("the keys are {}", suggest::list(&names))),
        (Some(owner), [only]) => {
            (format!("`{owner}` has no part `{name}`"), format!("its only part is `{only}`"))
        }
        (Some(owner), _) => {
            (format!("`{owner}` has no part `{name}`"), format!("its parts are {}", suggest::list(&names)))
        }
    };
    match home(name).filter(|_| owner.is_none()) {
        Some(usage) => errors.push_with_help(&arg.name, message, format_args!("write {usage}")),
        None => value::unknown(&at, message, name, &names, choices, errors),
    }
}

/// How to write a name that was given at the top level but belongs inside a key.
fn home(name: &str) -> Option<String> {
    let key = match name {
        "sink" | "local" => Key::Keep,
        "bf16" | "f16" => return Some("`dtype = bf16` or `dtype = f16`".to_owned()),
        "sm_80" | "sm_90a" => Key::Arch,
        "paper" => Key::Preset,
        _ => return choice::home::<Scorer>(name).or_else(|| choice::home::<Budget>(name)),
    };
    Some(value::usage(key))
}

/// `block = 64` or `block(q = 128, kv = 64)`, either part optional.
fn pair([q, kv]: [Key; 2], key: Key, arg: &Arg, places: &mut Places, errors: &mut Errors) -> RawPair {
    let Form::List(group) = &arg.form else {
        let both = value::integer(key, arg, errors);
        return RawPair { q: both, kv: both };
    };
    let mut pair = RawPair::default();
    for (part, arg) in listed(key, group, &[("q", q), ("kv", kv)], errors) {
        places.insert(part, arg.place());
        let value = value::integer(part, &arg, errors);
        if part == q { pair.q = value } else { pair.kv = value }
    }
    pair
}

fn keep(arg: &Arg, raw: &mut Raw, errors: &mut Errors) {
    let Some(group) = value::group(Key::Keep, arg, errors) else { return };
    for (part, arg) in listed(Key::Keep, group, &[("sink", Key::KeepSink), ("local", Key::KeepLocal)], errors)
    {
        raw.places.insert(part, arg.place());
        let value = value::integer(part, &arg, errors);
        if part == Key::KeepSink { raw.sink = value } else { raw.local = value }
    }
}

/// The parts in `key(…)`. An empty list is probably a mistake, so it is an error.
fn listed(
    key: Key,
    group: &proc_macro2::Group,
    known: &[(&str, Key)],
    errors: &mut Errors,
) -> Vec<(Key, Arg)> {
    if group.stream().is_empty() {
        let help = format!("write {}, or leave `{key}` out", value::usage(key));
        errors.push_with_help(group, format_args!("`{key}()` sets nothing"), help);
    }
    entries(group.stream(), Some(key.as_str()), known, errors)
}

/// `arch(sm_80, sm_90a)`. A rule rejects the empty set.
fn arch(arg: &Arg, errors: &mut Errors) -> Option<ArchSet> {
    let group = value::group(Key::Arch, arg, errors)?;
    let mut set = ArchSet::NONE;
    let mut complete = true;
    for entry in split_commas(flatten(group.stream())) {
        if let Some(help) = family(&entry) {
            let message = format!("`arch` has no value `{}`", args::shown(&entry));
            errors.push_with_help(stream(&entry), message, help);
            complete = false;
            continue;
        }
        match value::word_in(Key::Arch, &entry, Arch::ALL, errors) {
            Some(arch) if set.contains(arch) => {
                let message = format!("`arch` names `{arch}` twice");
                errors.push_with_help(stream(&entry), message, "keep one of the two");
            }
            Some(arch) => set = set.with(arch),
            None => complete = false,
        }
    }
    complete.then_some(set)
}

/// What to write for the name of a GPU that runs the code of a family: `sm_89`.
fn family(entry: &[TokenTree]) -> Option<String> {
    let [TokenTree::Ident(given)] = entry else { return None };
    let given = given.to_string();
    if Arch::ALL.iter().any(|arch| arch.as_str() == given) {
        return None;
    }
    let number: u8 = given.strip_prefix("sm_")?.trim_end_matches(['a', 'f']).parse().ok()?;
    let capability @ (major, minor) = (number / 10, number % 10);
    let of_its_own = Arch::ALL.iter().copied().find(|arch| arch.facts().capability == capability);
    let oldest = Arch::Sm80.facts().capability;
    Some(match of_its_own.unwrap_or(Arch::Sm80) {
        _ if capability < oldest => {
            format!("kernels need compute capability {}.{} or later", oldest.0, oldest.1)
        }
        arch => format!("{major}.{minor} runs the code of `{arch}`: write `{arch}`"),
    })
}

/// `crate = some::path`: the path of the facade.
fn path(arg: &Arg, errors: &mut Errors) -> Option<TokenStream> {
    let tokens = value::single(Key::Crate, arg, errors)?;
    match syn::Path::parse_mod_style.parse2(stream(tokens)) {
        Ok(path) => Some(path.into_token_stream()),
        Err(_) => {
            let help = match syn::parse2::<syn::LitStr>(stream(tokens)) {
                Ok(text) => format!("write it without quotes: crate = {}", text.value()),
                Err(_) => format!("write {}", value::usage(Key::Crate)),
            };
            let message = format!("`crate` expects a path, found `{}`", args::shown(tokens));
            errors.push_with_help(stream(tokens), message, help);
            None
        }
    }
}
