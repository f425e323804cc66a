//! Random tokens: nothing that a user can write makes the backend panic.

use super::errors_of;
use crate::backend::expand;
use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use proxyattn_codegen::syntax::{Choice, Part, Slot};
use proxyattn_codegen::{Budget, Scorer};
use quote::quote;
use std::str::FromStr;

/// Random token trees over the attribute's own vocabulary and everything that can stand beside it.
struct Noise {
    state: u64,
    words: Vec<&'static str>,
}

/// Words of the attribute and of the language.
const WORDS: [&str; 26] = [
    "head_dim", "block", "groups", "heads", "kv_heads", "stride", "dtype", "causal", "scale", "scorer",
    "budget", "keep", "arch", "preset", "crate", "q", "kv", "sink", "paper", "sm_80", "bf16", "true",
    "struct", "pub", "fn", "_",
];

/// The words of every kind of a choice.
fn words_of<C: Choice>() -> Vec<&'static str> {
    let of = |mut choice: C| {
        let name = choice.syntax().name;
        let parts = choice.kind(|kind| {
            let parts = kind.parts().into_iter();
            let words = |(part, slot): (&'static Part, Slot<'_>)| match slot {
                Slot::Word(word) => [&[part.name], word.names()].concat(),
                Slot::Number(_) | Slot::Integer(_) => vec![part.name],
            };
            parts.flat_map(words).collect::<Vec<_>>()
        });
        core::iter::once(name).chain(parts)
    };
    C::KINDS.iter().copied().flat_map(of).collect()
}

impl Noise {
    fn new(state: u64) -> Self {
        Self { state, words: [&WORDS[..], &words_of::<Scorer>(), &words_of::<Budget>()].concat() }
    }

    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) as usize % end
    }

    fn stream(&mut self, depth: usize) -> TokenStream {
        let len = self.below(7);
        (0..len).map(|_| self.tree(depth)).collect()
    }

    fn tree(&mut self, depth: usize) -> TokenTree {
        const LITERALS: [&str; 18] = [
            "0",
            "1",
            "64",
            "4294967296",
            "340282366920938463463374607431768211456",
            "0xffu8",
            "1e400",
            "0.9",
            "1e-400",
            "1f32",
            "1_000",
            "\"64\"",
            "\"é\"",
            "b\"x\"",
            "'c'",
            "c\"x\"",
            "r#\"x\"#",
            "0b1",
        ];
        let span = Span::call_site();
        match self.below(if depth == 0 { 9 } else { 11 }) {
            0..=3 => {
                let word = self.below(self.words.len());
                Ident::new(self.words[word], span).into()
            }
            4..=5 => Literal::from_str(LITERALS[self.below(LITERALS.len())]).expect("a literal").into(),
            6 => [Literal::i64_unsuffixed(-5), Literal::f64_unsuffixed(-0.5)][self.below(2)].clone().into(),
            7 => Punct::new(
                ['=', ',', '=', ',', ':', '-', '#', '<', ';', '\''][self.below(10)],
                Spacing::Joint,
            )
            .into(),
            8 => Punct::new(['=', ','][self.below(2)], Spacing::Alone).into(),
            _ => {
                let kinds = [
                    Delimiter::Parenthesis,
                    Delimiter::Parenthesis,
                    Delimiter::None,
                    Delimiter::Brace,
                    Delimiter::Bracket,
                ];
                Group::new(kinds[self.below(5)], self.stream(depth - 1)).into()
            }
        }
    }
}

#[test]
fn no_token_stream_makes_it_panic() {
    let mut noise = Noise::new(20250924);
    let (mut clean, mut faulty) = (0, 0);
    for round in 0..20_000 {
        let attr = noise.stream(3);
        let item = if round % 2 == 0 {
            quote!(
                struct Kernel;
            )
        } else {
            noise.stream(2)
        };
        match errors_of(expand(attr, item)).len() {
            0 => clean += 1,
            _ => faulty += 1,
        }
    }
    assert!(clean > 100 && faulty > 5_000, "both paths are walked: {clean} clean, {faulty} faulty");
}
