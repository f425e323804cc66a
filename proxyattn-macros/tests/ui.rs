//! What the compiler says, and what it accepts, of whole programs.
//!
//! The expected output in `tests/ui/fail/*.stderr` is that of rustc 1.95; another release may draw the same
//! errors differently. After a change, run with `TRYBUILD=overwrite` and read the difference.

use proxyattn_codegen::RULES;
use std::path::Path;

#[test]
fn programs_compile_or_fail_as_expected() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

/// `tests/ui/fail/stride_q.rs` is the case of `Rule::StrideQ`.
#[test]
fn every_rule_has_a_failing_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui/fail");
    for rule in RULES {
        let case = folder.join(snake_case(&format!("{rule:?}")));
        for extension in ["rs", "stderr"] {
            let file = case.with_extension(extension);
            assert!(file.is_file(), "Rule::{rule:?} has no failing program: {} is missing", file.display());
        }
    }
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
