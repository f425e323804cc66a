//! Random tokens: nothing that a user can write makes the backend panic.

use super::errors_of;
use crate::backend::expand;
use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::quote;
use std::str::FromStr;

/// Random token trees over the attribute's own vocabulary and everything that can stand beside it.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }

    fn stream(&mut self, depth: usize) -> TokenStream {
        let len = self.below(7);
        (0..len).map(|_| self.tree(depth)).collect()
    }

    fn tree(&mut self, depth: usize) -> TokenTree {
        const WORDS: [&str; 44] = [
            "head_dim",
            "block",
            "groups",
            "heads",
            "kv_heads",
            "stride",
            "dtype",
            "causal",
            "scale",
            "scorer",
            "budget",
            "keep",
            "arch",
            "preset",
            "crate",
            "q",
            "kv",
            "gamma",
            "min_tokens",
            "rows",
            "dynamic",
            "top_k",
            "blocks",
            "ratio",
            "all",
            "order",
            "list",
            "weigh",
            "values",
            "split",
            "none",
            "proxy",
            "sums",
            "scores",
            "e4m3",
            "sink",
            "paper",
            "sm_80",
            "bf16",
            "true",
            "struct",
            "pub",
            "fn",
            "_",
        ];
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
            0..=3 => Ident::new(WORDS[self.below(WORDS.len())], span).into(),
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
    let mut noise = Noise(20250924);
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
