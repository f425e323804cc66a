//! What `#[proxy_attention]` expands to, as text that can be read and diffed.
//!
//! A proc-macro crate exports nothing but macros, so its backend is included by path.

#[path = "../proxyattn-macros/src/backend/mod.rs"]
mod backend;

use proc_macro2::TokenStream;
use proxyattn_codegen::syntax::{Choice, Slot};
use proxyattn_codegen::{Budget, Scorer};
use std::time::{Duration, Instant};

const KERNEL: &str = "/// Prefill of a 128K context.\n#[derive(Clone, Copy)]\npub struct LlamaPrefill;";

/// Every key and every value of a word, each at least once.
const CONFIGURATIONS: &[(&str, &str, &str)] = &[
    ("defaults", "", KERNEL),
    ("groups", "block = 64, groups = 4", KERNEL),
    (
        "every_key",
        "head_dim = 96, block(q = 128, kv = 64), groups = 2, heads = 32, kv_heads = 8, stride(q = 8, kv = 2), \
         dtype = f16, causal = false, scale = 0.125, \
         scorer = proxy(sums = maxima, scores = e4m3), \
         budget = dynamic(gamma = 0.85, min_tokens = 1024, rows = ratio, order = list, weigh = values), \
         keep(sink = 2, local = 1), arch(sm_90a), crate = ::proxyattn",
        KERNEL,
    ),
    (
        "top_k",
        "block = 32, stride = 4, causal, dtype = bf16, budget = top_k(blocks = 64), arch(sm_80)",
        KERNEL,
    ),
    ("ratio", "head_dim = 64, budget = ratio(0.10), keep(sink = 0)", KERNEL),
    (
        "ratio_of_heads",
        "scorer = proxy(sums = exact, scores = native), budget = ratio(0.1, split = heads, min_tokens = 256)",
        KERNEL,
    ),
    ("all", "head_dim = 256, budget = all", KERNEL),
    ("absolute", "budget = dynamic(rows = absolute, order = own, weigh = none)", KERNEL),
    ("preset_paper", "preset = paper", KERNEL),
    ("preset_paper_overridden", "stride(kv = 1), budget = dynamic(gamma = 0.9), preset = paper", KERNEL),
    ("crate_path", "crate = engine::reexports::proxyattn", KERNEL),
    ("private_undocumented", "", "struct Kernel;"),
    ("restricted_and_cfg", "", "#[cfg(unix)] pub(in crate::model) struct r#dyn;"),
    ("broken", "dtype = f16, block = 48, grups = 4", KERNEL),
    ("broken_item", "", "pub struct Kernel { scale: f32 }"),
];

fn expand(attr: &str, item: &str) -> TokenStream {
    backend::expand(attr.parse().expect("the attribute lexes"), item.parse().expect("the item lexes"))
}

fn pretty(tokens: TokenStream) -> String {
    prettyplease::unparse(&syn::parse2(tokens).expect("an expansion is a list of items"))
}

#[test]
fn expansions_read_as_the_snapshots() {
    for (name, attr, item) in CONFIGURATIONS {
        insta::with_settings!({ description => format!("#[proxy_attention({attr})]"), omit_expression => true }, {
            insta::assert_snapshot!(*name, pretty(expand(attr, item)));
        });
    }
}

#[test]
fn the_configurations_hold_every_key() {
    let written: Vec<&str> = CONFIGURATIONS.iter().map(|(_, attr, _)| *attr).collect();
    let written = written.join(", ");
    for key in proxyattn_codegen::Key::TOP_LEVEL {
        let starts = [format!("{key} ="), format!("{key}(")];
        assert!(starts.iter().any(|start| written.contains(start)), "no snapshot has `{key}`");
    }
}

/// Every kind as its example, and every word as the help of errors writes it, with the variants that they expand to.
fn expansions_of<C: Choice>() -> Vec<(String, String)> {
    let of = |mut choice: C| {
        let syntax = choice.syntax();
        let mut cases = vec![(
            format!("{} = {}", C::KEY, syntax.example),
            format!("{} :: {}", C::TYPE, syntax.type_name),
        )];
        choice.kind(|kind| {
            for (part, slot) in kind.parts() {
                let Slot::Word(word) = slot else { continue };
                let (usage, type_name) = (syntax.usage(part), word.type_name());
                for name in word.names() {
                    word.take(name);
                    let [example, own] = [part.example, name].map(|word| format!("{} = {word}", part.name));
                    let attr = format!("{} = {}", C::KEY, usage.replace(&example, &own));
                    cases.push((
                        attr,
                        format!(
                            "{} : :: proxyattn :: __private :: {type_name} :: {}",
                            part.name,
                            word.variant()
                        ),
                    ));
                }
            }
        });
        cases
    };
    C::KINDS.iter().copied().flat_map(of).collect()
}

#[test]
fn every_kind_and_word_expands_to_its_variant() {
    let cases = [expansions_of::<Scorer>(), expansions_of::<Budget>()].concat();
    assert!(cases.iter().any(|(attr, _)| attr == "budget = dynamic(order = own)"), "{cases:?}");
    for (attr, variant) in cases {
        let tokens = expand(&attr, KERNEL).to_string();
        assert!(tokens.contains(&variant), "`{attr}` has no `{variant}`: {tokens}");
    }
}

/// The tables of the macro's documentation have a row for each kind, by its name in the attribute.
#[test]
fn the_documentation_has_every_kind() {
    fn rows<C: Choice>(table: &str) -> bool {
        let names: Vec<_> = C::KINDS.iter().map(|kind| format!("| `{}` | ", kind.syntax().name)).collect();
        let rows: Vec<_> = table.lines().collect();
        names.len() == rows.len() && rows.iter().zip(&names).all(|(row, name)| row.starts_with(name))
    }
    let scorers = proxyattn_codegen::scorers!(proxyattn_codegen::kinds_in_a_table);
    let budgets = proxyattn_codegen::budgets!(proxyattn_codegen::kinds_in_a_table);
    assert!(rows::<Scorer>(scorers) && rows::<Budget>(budgets), "{scorers}{budgets}");
}

#[test]
fn two_runs_give_the_same_tokens() {
    for (name, attr, item) in CONFIGURATIONS {
        assert_eq!(expand(attr, item).to_string(), expand(attr, item).to_string(), "{name}");
    }
}

#[test]
fn one_expansion_takes_at_most_5_ms() {
    const LIMIT: Duration = Duration::from_millis(5);
    let (_, attr, item) = CONFIGURATIONS[2];
    let (attr, item): (TokenStream, TokenStream) =
        (attr.parse().expect("lexes"), item.parse().expect("lexes"));
    let mut times: Vec<Duration> = (0..201)
        .map(|_| {
            let (attr, item) = (attr.clone(), item.clone());
            let start = Instant::now();
            std::hint::black_box(backend::expand(attr, item));
            start.elapsed()
        })
        .collect();
    times.sort();
    let median = times[times.len() / 2];
    println!("one expansion: {median:.1?} (median of {})", times.len());
    assert!(median <= LIMIT, "{median:?} is more than {LIMIT:?}");
}
