//! How the attribute spells the choices of a configuration, as data.
//!
//! A *choice* is the value of a key, such as `budget`, and has a few *kinds*: `dynamic(gamma = 0.9)`, `all`. Each kind states
//! its name, its parts and its rules once, in its own folder, by the macro `kind!`. The parser, `Display`, the help
//! of errors and the expansion read that table, and ask for no kind by its name.

#[macro_use]
mod kind;

use crate::{Key, Spec};
use core::fmt::{self, Display};

/// A choice: an enum with a variant for each kind. A kind without parts is a variant without fields; every other variant
/// holds the struct of the same name.
pub trait Choice: Copy + 'static {
    /// The name of the enum.
    const TYPE: &'static str;

    /// The key whose value it is.
    const KEY: Key;

    /// Every kind, in the order of the documentation, with the values that its parts have where they are left out.
    const KINDS: &'static [Self];

    /// What `ask` says of the kind that was chosen; `ask` may change its parts.
    fn kind<R>(&mut self, ask: impl FnOnce(&mut dyn Kind) -> R) -> R;

    /// How the kind is spelled.
    fn syntax(mut self) -> &'static Syntax {
        self.kind(|kind| kind.syntax())
    }
}

/// A kind of a choice, with the values of its parts.
pub trait Kind {
    /// How it is spelled.
    fn syntax(&self) -> &'static Syntax;

    /// Each part with its value, in the order of [`Syntax::parts`].
    fn parts(&mut self) -> Vec<(&'static Part, Slot<'_>)>;

    /// The kind's own rules that the values break in `spec`.
    fn broken(&self, spec: &Spec) -> Vec<Broken>;
}

/// How a kind is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syntax {
    /// The key whose value it is.
    pub key: Key,
    /// Its name in the attribute: `top_k`.
    pub name: &'static str,
    /// The name of its struct, and of its variant of the choice: `TopK`.
    pub type_name: &'static str,
    /// One way to write it, for the help of errors.
    pub example: &'static str,
    /// Its parts, in the order in which they are written: the fields of its struct.
    pub parts: &'static [Part],
}

/// How a part of a kind is spelled: `gamma = 0.9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Its name, which is that of the field.
    pub name: &'static str,
    /// A value, for the help of errors.
    pub example: &'static str,
    /// What it is, in words, where it cannot be left out.
    pub needed: Option<&'static str>,
    /// Whether it comes first and without its name: `ratio(0.1)`.
    pub unnamed: bool,
    /// The word that goes without saying, and is not written.
    pub implied: Option<&'static str>,
    /// Another part and the word of it without which this part has no effect.
    pub only_with: Option<(&'static str, &'static str)>,
}

/// The value of a part, in its place.
pub enum Slot<'a> {
    /// With or without a fraction.
    Number(&'a mut f64),
    /// Without sign or fraction.
    Integer(&'a mut u32),
    /// One of a few words.
    Word(&'a mut dyn Word),
}

/// A part's type.
pub(crate) trait Value {
    /// The value, in its place.
    fn slot(&mut self) -> Slot<'_>;
}

/// A value of an enum whose values have names.
pub trait Word {
    /// The name of the enum.
    fn type_name(&self) -> &'static str;

    /// The name of the variant.
    fn variant(&self) -> &'static str;

    /// The value's name.
    fn name(&self) -> &'static str;

    /// The names of all values, in order.
    fn names(&self) -> &'static [&'static str];

    /// Takes the value of this name. Returns whether there is one.
    fn take(&mut self, name: &str) -> bool;
}

/// A rule of a kind that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The part whose value has to change.
    pub part: &'static Part,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What was expected and what was given, in one line.
    pub message: String,
    /// What to write instead, if known.
    pub help: Option<String>,
    /// Whether the value is wrong whatever other keys say.
    pub alone: bool,
}

impl Part {
    /// A part that may be left out, with a value as an example.
    pub(crate) const fn like(example: &'static str) -> Self {
        Self { name: "", example, needed: None, unnamed: false, implied: None, only_with: None }
    }

    pub(crate) const fn needed(self, what: &'static str) -> Self {
        Self { needed: Some(what), ..self }
    }

    pub(crate) const fn unnamed(self) -> Self {
        Self { unnamed: true, ..self }
    }

    pub(crate) const fn implied(self, word: &'static str) -> Self {
        Self { implied: Some(word), ..self }
    }

    pub(crate) const fn only_with(self, part: &'static str, word: &'static str) -> Self {
        Self { only_with: Some((part, word)), ..self }
    }

    pub(crate) const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    fn written(&self, value: impl Display) -> String {
        if self.unnamed { value.to_string() } else { format!("{} = {value}", self.name) }
    }
}

impl Syntax {
    /// The part of this name.
    pub fn part(&self, name: &str) -> Option<&'static Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// The key of a part, for the place of an error.
    pub const fn key_of(&'static self, part: &'static Part) -> Key {
        Key::Part(self, part)
    }

    /// How `part` is written: `dynamic(gamma = 0.9)`, with the parts that it cannot stand without.
    pub fn usage(&self, part: &Part) -> String {
        let wanted = |other: &Part| match part.only_with {
            Some((name, word)) if other.name == name => Some(other.written(word)),
            _ if other == part || other.needed.is_some() => Some(other.written(other.example)),
            _ => None,
        };
        let parts: Vec<_> = self.parts.iter().filter_map(wanted).collect();
        format!("{}({})", self.name, parts.join(", "))
    }
}

impl Slot<'_> {
    /// Whether the part is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Slot::Number(_) | Slot::Integer(_))
    }
}

impl Display for Slot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Number(number) => number.fmt(f),
            Slot::Integer(integer) => integer.fmt(f),
            Slot::Word(word) => f.write_str(word.name()),
        }
    }
}

impl Value for f64 {
    fn slot(&mut self) -> Slot<'_> {
        Slot::Number(self)
    }
}

impl Value for u32 {
    fn slot(&mut self) -> Slot<'_> {
        Slot::Integer(self)
    }
}

impl Wrong {
    /// A value that is wrong whatever other keys say.
    pub(crate) fn alone(message: String, help: Option<String>) -> Self {
        Self { message, help, alone: true }
    }

    /// A value that is wrong beside those of other keys.
    pub(crate) fn beside(message: String, help: Option<String>) -> Self {
        Self { message, help, alone: false }
    }
}

/// Whether `part` has an effect on a kind with these values.
pub fn has_effect(part: &Part, values: &[(&'static Part, Slot<'_>)]) -> bool {
    part.only_with.is_none_or(|(name, word)| {
        values.iter().any(|(other, slot)| {
            other.name == name && matches!(slot, Slot::Word(given) if given.name() == word)
        })
    })
}

/// Writes a choice as the attribute spells it, with every part that has an effect.
pub(crate) fn write(mut choice: impl Choice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    choice.kind(|kind| {
        f.write_str(kind.syntax().name)?;
        let values = kind.parts();
        let is_said = |part: &Part, slot: &Slot<'_>| match slot {
            Slot::Word(word) => part.implied != Some(word.name()),
            Slot::Number(_) | Slot::Integer(_) => true,
        };
        let said = values.iter().filter(|(part, slot)| has_effect(part, &values) && is_said(part, slot));
        let said: Vec<_> = said.map(|(part, slot)| part.written(slot)).collect();
        if said.is_empty() { Ok(()) } else { write!(f, "({})", said.join(", ")) }
    })
}

/// Every kind with its defaults, but with each word of each part that takes words.
#[cfg(test)]
pub(crate) fn every_word<C: Choice>() -> Vec<C> {
    let mut choices = C::KINDS.to_vec();
    let most = C::KINDS.iter().map(|kind| kind.syntax().parts.len()).max().unwrap_or(0);
    for at in 0..most {
        let with_words = |mut choice: C| {
            let words = choice.kind(|kind| match kind.parts().get(at) {
                Some((_, Slot::Word(word))) => word.names(),
                _ => &[],
            });
            let with = move |word: &&str| {
                let mut choice = choice;
                choice.kind(|kind| match kind.parts().get_mut(at) {
                    Some((_, Slot::Word(slot))) => assert!(slot.take(word)),
                    _ => unreachable!("it has words"),
                });
                choice
            };
            if words.is_empty() { vec![choice] } else { words.iter().map(with).collect() }
        };
        choices = choices.into_iter().flat_map(with_words).collect();
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Budget, Scorer};

    fn check<C: Choice>() {
        for &(mut choice) in C::KINDS {
            let syntax = choice.syntax();
            assert_eq!(syntax.key, C::KEY);
            assert_eq!(C::KINDS.iter().filter(|other| other.syntax().name == syntax.name).count(), 1);
            assert!(syntax.example.starts_with(syntax.name), "{syntax:?}");
            choice.kind(|kind| {
                let values = kind.parts();
                for (at, (part, slot)) in values.iter().enumerate() {
                    assert!(!part.unnamed || at == 0, "{part:?} comes first");
                    assert!(part.needed.is_none() || slot.is_number(), "{part:?} is a number");
                    if let Some(word) = part.implied {
                        assert_eq!(slot.to_string(), word, "what goes without saying is what is left out");
                    }
                    if let Some((other, word)) = part.only_with {
                        let words =
                            values.iter().find(|(part, _)| part.name == other).map(|(_, slot)| match slot {
                                Slot::Word(given) => given.names(),
                                Slot::Number(_) | Slot::Integer(_) => &[],
                            });
                        assert!(words.is_some_and(|words| words.contains(&word)), "{other} = {word}");
                    }
                }
            });
        }
    }

    #[test]
    fn every_word_of_every_part_is_tried() {
        let written: Vec<_> = every_word::<Scorer>().iter().map(Scorer::to_string).collect();
        let proxies = [
            "maxima, scores = e4m3",
            "maxima, scores = native",
            "exact, scores = e4m3",
            "exact, scores = native",
        ];
        assert!(
            proxies.iter().all(|parts| written.contains(&format!("proxy(sums = {parts})"))),
            "{written:?}"
        );
        assert!(every_word::<Budget>().iter().any(|budget| budget.to_string() == "all"));
    }

    #[test]
    fn tables_agree_with_their_structs() {
        check::<Scorer>();
        check::<Budget>();
    }
}
