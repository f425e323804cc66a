//! Resolves the written keys: presets, defaults and rules.

use crate::errors::Errors;
use crate::parse::{Places, Preset, Raw};
use proc_macro2::TokenStream;
use proxyattn_codegen::{Block, Keep, Key, Spec, Stride, Violation};

/// The resolved attribute.
#[derive(Debug)]
pub struct Model {
    /// The resolved configuration; it is valid if no error was reported.
    pub spec: Spec,
    /// The path of the facade crate, if it is written.
    pub facade: Option<TokenStream>,
}

/// Fills what is absent from the preset or the defaults, and reports the rules that the result breaks.
pub(crate) fn resolve(raw: Raw, errors: &mut Errors) -> Model {
    let base = raw.preset.map_or(Spec::DEFAULT, Preset::spec);
    let spec = Spec {
        head_dim: raw.head_dim.unwrap_or(base.head_dim),
        block: Block { q: raw.block.q.unwrap_or(base.block.q), kv: raw.block.kv.unwrap_or(base.block.kv) },
        groups: raw.groups.or(base.groups),
        heads: raw.heads.or(base.heads),
        kv_heads: raw.kv_heads.or(base.kv_heads),
        stride: Stride {
            q: raw.stride.q.unwrap_or(base.stride.q),
            kv: raw.stride.kv.unwrap_or(base.stride.kv),
        },
        dtype: raw.dtype.unwrap_or(base.dtype),
        causal: raw.causal.unwrap_or(base.causal),
        scale: raw.scale.or(base.scale),
        scorer: raw.scorer.unwrap_or(base.scorer),
        budget: raw.budget.unwrap_or(base.budget),
        keep: Keep { sink: raw.sink.unwrap_or(base.keep.sink), local: raw.local.unwrap_or(base.keep.local) },
        arch: raw.arch.unwrap_or(base.arch),
    };
    check(&spec, &raw.places, errors);
    Model { spec, facade: raw.facade }
}

/// Reports each broken rule at the value that the user wrote.
fn check(spec: &Spec, places: &Places, errors: &mut Errors) {
    // If a value could not be read, a rule about several keys would be checked against its default.
    let all_read = errors.is_empty();
    let broken: Vec<_> = spec.violations().into_iter().filter(|broken| all_read || broken.alone).collect();
    let written = |violation: &Violation| {
        let keys = [Some(violation.key), violation.key.parent()];
        keys.into_iter().flatten().find(|key| places.contains_key(key))
    };
    // A default that breaks a rule does so because of a written value: report only that one.
    let any_written = broken.iter().any(|violation| written(violation).is_some());
    let mut shared: Vec<Key> = Vec::new();
    for violation in broken {
        let key = written(&violation);
        let mut message = violation.message;
        match key {
            None if any_written => continue,
            // `block = 48` breaks the rules of both its sides; report it once.
            Some(key) if shared.contains(&key) => continue,
            Some(key) if key != violation.key => {
                message = message.replace(&format!("`{}`", violation.key), &format!("`{key}`"));
                shared.push(key);
            }
            _ => {}
        }
        let place = key.and_then(|key| places.get(&key));
        match violation.help {
            Some(help) => errors.push_with_help(place, message, help),
            None => errors.push(place, message),
        }
    }
}
