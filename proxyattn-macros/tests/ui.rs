//! What the compiler says, and what it accepts, of whole programs.
//!
//! The expected output in `tests/ui/fail/*.stderr` is that of rustc 1.95; another release may draw the same
//! errors differently. After a change, run with `TRYBUILD=overwrite` and read the difference.

use proxyattn_codegen::syntax::Choice;
use proxyattn_codegen::{Budget, RULES, Rule, Scorer};
use std::path::Path;

#[test]
fn programs_compile_or_fail_as_expected() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

/// `tests/ui/fail/stride_q.rs` is the case of `Rule::StrideQ`, and `dynamic_gamma.rs` that of the rules of `gamma` in
/// `dynamic`. A part that takes words has a case with an unknown one: `dynamic_rows_unknown.rs`.
#[test]
fn every_rule_has_a_failing_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui/fail");
    let own = RULES.iter().filter(|rule| !matches!(rule, Rule::Scorer | Rule::Budget));
    let own = own.map(|rule| snake_case(&format!("{rule:?}")));
    for case in own.chain(cases_of::<Scorer>()).chain(cases_of::<Budget>()) {
        for extension in ["rs", "stderr"] {
            let file = folder.join(&case).with_extension(extension);
            assert!(file.is_file(), "a rule has no failing program: {} is missing", file.display());
        }
    }
}

/// The cases of the parts of every kind.
fn cases_of<C: Choice>() -> Vec<String> {
    let of = |mut kind: C| {
        let name = kind.syntax().name;
        kind.kind(|kind| {
            let parts = kind.parts().into_iter();
            let case = |is_number| if is_number { "" } else { "_unknown" };
            parts
                .map(|(part, slot)| format!("{name}_{}{}", part.name, case(slot.is_number())))
                .collect::<Vec<_>>()
        })
    };
    C::KINDS.iter().copied().flat_map(of).collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
