//! The reference of the attribute, `docs/attribute.md`: it has every key, every kind and every part, with the values that
//! they have where they are left out.

use crate::run::root;
use proxyattn_codegen::syntax::{Choice, Part, Slot};
use proxyattn_codegen::{Budget, Key, Scorer, Spec};
use std::fs;

/// How a kind is written in full: each part with its default, or an example where it has none, and words with the default
/// first. Pipes are escaped, as tables of Markdown want them.
fn in_full(mut choice: impl Choice) -> String {
    let syntax = choice.syntax();
    let written = |(part, slot): &(&Part, Slot<'_>)| {
        let value = match slot {
            _ if part.needed.is_some() => part.example.to_owned(),
            Slot::Word(word) => {
                let others = word.names().iter().copied().filter(|name| *name != word.name());
                std::iter::once(word.name()).chain(others).collect::<Vec<_>>().join(" \\| ")
            }
            slot => slot.to_string(),
        };
        if part.unnamed { value } else { format!("{} = {value}", part.name) }
    };
    let parts: Vec<_> = choice.kind(|kind| kind.parts().iter().map(written).collect());
    match parts.as_slice() {
        [] => syntax.name.to_owned(),
        parts => format!("{}({})", syntax.name, parts.join(", ")),
    }
}

/// The rows that a choice needs: one for each kind, one for each of its parts.
fn rows<C: Choice>() -> impl Iterator<Item = String> {
    C::KINDS.iter().flat_map(|kind| {
        let syntax = kind.syntax();
        let parts = syntax.parts.iter().map(|part| format!("| `{}` |", syntax.key_of(part)));
        std::iter::once(format!("| `{}` |", in_full(*kind))).chain(parts)
    })
}

#[test]
fn the_reference_has_a_row_for_everything_that_can_be_written() {
    let page = fs::read_to_string(root().join("docs/attribute.md")).expect("docs/attribute.md");
    let keys = Key::TOP_LEVEL.iter().map(|key| format!("| `{key}` |"));
    let wanted = keys.chain(rows::<Scorer>()).chain(rows::<Budget>());
    let missing: Vec<_> = wanted.filter(|row| !page.lines().any(|line| line.starts_with(row))).collect();
    assert!(missing.is_empty(), "docs/attribute.md: expected rows that begin with\n{}", missing.join("\n"));
}

#[test]
fn the_reference_has_the_default_and_the_preset_in_full() {
    let page = fs::read_to_string(root().join("docs/attribute.md")).expect("docs/attribute.md");
    for spec in [Spec::DEFAULT, Spec::PAPER] {
        for text in [format!("scorer = {}", spec.scorer), format!("budget = {}", spec.budget)] {
            assert!(page.contains(&text), "docs/attribute.md: expected {text}");
        }
    }
}
