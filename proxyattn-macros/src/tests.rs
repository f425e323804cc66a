//! The backend, fed with tokens: what it takes them for, and what it says of those that it cannot take.

mod noise;

use crate::backend::expand;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use proxyattn_codegen::Budget;
use proxyattn_codegen::syntax::Choice;
use quote::quote;
use std::str::FromStr;

const ITEM: &str = "pub struct Kernel;";

fn expanded(attr: &str) -> String {
    expand(attr.parse().expect("the attribute lexes"), ITEM.parse().expect("the item lexes")).to_string()
}

/// The messages of the `compile_error!`s in an expansion, in their order.
fn errors_of(output: TokenStream) -> Vec<String> {
    let mut messages = Vec::new();
    let mut last_was_error = false;
    for token in output {
        match token {
            TokenTree::Ident(ident) => last_was_error = ident == "compile_error",
            TokenTree::Group(group) if last_was_error => {
                let text: syn::LitStr = syn::parse2(group.stream()).expect("compile_error takes a string");
                messages.push(text.value());
                last_was_error = false;
            }
            _ => {}
        }
    }
    messages
}

fn errors(attr: &str) -> Vec<String> {
    errors_of(expand(attr.parse().expect("the attribute lexes"), ITEM.parse().expect("the item lexes")))
}

#[track_caller]
fn assert_error(attr: &str, expected: &[&str]) {
    let messages = errors(attr);
    let [message] = &messages[..] else { panic!("one error for `{attr}`, not {messages:#?}") };
    for part in expected {
        assert!(message.contains(part), "`{attr}` says\n{message}\nwithout {part:?}");
    }
}

#[test]
fn equal_configurations_expand_to_equal_tokens() {
    let same = [
        ("", "head_dim = 128, block = 64, dtype = bf16, causal, scorer = proxy, arch(sm_90a, sm_80),"),
        ("block = 64", "block(q = 64, kv = 64)"),
        ("stride = 4", "stride(kv = 4, q = 4)"),
        ("causal", "causal = true"),
        ("budget = dynamic", "budget = dynamic(gamma = 0.60, rows = ratio, min_tokens = 0x200)"),
        ("budget = ratio(1)", "budget = ratio(1.0)"),
        ("budget = ratio(1,)", "budget = ratio(1.0, split = none)"),
        ("scorer = proxy()", "scorer = proxy(scores = e4m3, sums = maxima)"),
        ("groups = 1_0", "groups = 10"),
        ("keep(sink = 2)", "keep(local = 0, sink = 2)"),
        ("crate = ::proxyattn", ""),
    ];
    for (left, right) in same {
        assert_eq!(errors(left), [""; 0], "{left}");
        assert_eq!(expanded(left), expanded(right), "{left} | {right}");
    }
}

#[test]
fn keys_beside_a_preset_win_in_any_order_and_leave_the_rest_to_it() {
    let scorer = "scorer = proxy(sums = exact, scores = native)";
    let paper = |stride: &str, gamma: &str| {
        format!(
            "{scorer}, {stride}, \
             budget = dynamic(gamma = {gamma}, min_tokens = 2048, rows = absolute, order = own, weigh = none)"
        )
    };
    assert_eq!(expanded("preset = paper"), expanded(&paper("stride = 4", "0.95")));
    let partial = paper("stride(q = 4, kv = 1)", "0.9");
    assert_eq!(expanded("preset = paper, budget = dynamic(gamma = 0.9), stride(kv = 1)"), expanded(&partial));
    assert_eq!(expanded("stride(kv = 1), budget = dynamic(gamma = 0.9), preset = paper"), expanded(&partial));
    let dense = "preset = paper, budget = all";
    assert_eq!(expanded(dense), expanded(&format!("{scorer}, stride = 4, budget = all")));
}

#[test]
fn substitutions_of_macro_rules_are_seen_through() {
    let hidden = |tokens: TokenStream| TokenTree::Group(Group::new(Delimiter::None, tokens));
    let (block, kv, facade) = (hidden(quote!(128)), hidden(quote!(64)), hidden(quote!(my::facade)));
    let attr = quote!(block(q = #block, kv = #kv), crate = #facade);
    let plain = quote!(block(q = 128, kv = 64), crate = my::facade);
    let vis = hidden(quote!(pub));
    let item = hidden(quote!(#vis struct Kernel;));
    let output = expand(attr, item.into()).to_string();
    assert_eq!(output, expand(plain, ITEM.parse().expect("lexes")).to_string());
}

#[test]
fn unknown_names_get_a_suggestion_and_the_choices() {
    assert_error(
        "blok = 64",
        &["unknown key `blok`", "did you mean `block`?", "the keys are `head_dim`, `block`"],
    );
    assert_error("num_kv_heads = 8", &["did you mean `kv_heads`?"]);
    assert_error("is_causal = true", &["did you mean `causal`?"]);
    assert_error("Block = 64", &["did you mean `block`?"]);
    assert_error("gamma = 0.9", &["unknown key `gamma`\nhelp: write `budget = dynamic(gamma = 0.9)`"]);
    assert_error(
        "stride(k = 1)",
        &["`stride` has no part `k`", "did you mean `kv`? its parts are `q` and `kv`"],
    );
    assert_error("dtype = fp16", &["`dtype` has no value `fp16`", "did you mean `f16`?"]);
    assert_error("dtype = float32", &["the values are `bf16` and `f16`"]);
    assert_error("budget = topk(blocks = 4)", &["`budget` has no kind `topk`", "did you mean `top_k`?"]);
    assert_error("budget = top_k(count = 4)", &["its only part is `blocks`"]);
    assert_error(
        "arch(sm_90)",
        &["`arch` has no value `sm_90`", "9.0 runs the code of `sm_90a`: write `sm_90a`"],
    );
    assert_error(
        "arch(sm_89)",
        &["`arch` has no value `sm_89`", "8.9 runs the code of `sm_80`: write `sm_80`"],
    );
    assert_error("arch(sm_120a)", &["12.0 runs the code of `sm_80`"]);
    assert_error("arch(sm_75)", &["kernels need compute capability 8.0 or later"]);
    assert_error("arch(sm_9Oa)", &["did you mean `sm_90a`?"]);
    assert_error("scorer = unheard_of", &["`scorer` has no kind `unheard_of`"]);
    let kinds = Budget::KINDS.iter().map(|kind| format!("`{}`", kind.syntax().name)).collect::<Vec<_>>();
    for kind in &kinds {
        assert_error("budget = unheard_of", &["the kinds are", kind]);
    }
    assert_error("scorer = proxy(sums = max)", &["`proxy(sums)` has no value `max`", "`maxima` and `exact`"]);
    assert_error("sums = maxima", &["unknown key `sums`\nhelp: write `scorer = proxy(sums = maxima)`"]);
    assert_error("split = heads", &["write `budget = ratio(0.1, split = heads)`"]);
    assert_error("top_k = 5", &["write `budget = top_k(blocks = 64)`"]);
    let [message] = &errors("zzzzzz")[..] else { panic!("one error") };
    assert!(!message.contains("did you mean"), "{message}");
}

#[test]
fn values_of_the_wrong_type_say_what_to_write() {
    assert_error("block = \"64\"", &["`block` expects an integer, found `\"64\"`", "without quotes: 64"]);
    assert_error("block = 64.0", &["found `64.0`\nhelp: write 64"]);
    assert_error("block = 64.5", &["expects an integer, found `64.5`"]);
    assert_error("block = -64", &["must not be negative", "help: write 64"]);
    assert_error("keep(local = -1)", &["must not be negative", "help: write 0 to keep none"]);
    assert_error("heads = -1", &["must not be negative", "help: leave `heads` out for any number"]);
    assert_error("causal = yes", &["found `yes`", "help: write `causal` or `causal = false`"]);
    assert_error("causal = CAUSAL", &["found `CAUSAL`", "before constants and expressions are evaluated"]);
    assert_error("block = 64usize", &["without a suffix", "help: write 64"]);
    assert_error("groups = 99999999999", &["`groups` must be at most 4294967295"]);
    assert_error("block = BLOCK", &["found `BLOCK`", "before constants and expressions"]);
    assert_error("block = 32 * 2", &["found `32 * 2`", "before constants and expressions"]);
    assert_error("block = N as u32", &["found `N as u32`"]);
    assert_error("scale = 1 / 8", &["`scale` expects a number, found `1 / 8`"]);
    assert_error("scale = \"0.1\"", &["without quotes: 0.1"]);
    assert_error("causal = 1", &["`causal` expects `true` or `false`, found `1`"]);
    assert_error("dtype = \"f16\"", &["`dtype` expects a word", "without quotes: f16"]);
    assert_error("crate = \"a::b\"", &["`crate` expects a path", "crate = a::b"]);
    assert_error("crate = 5", &["`crate` expects a path, found `5`"]);
}

#[test]
fn forms_of_the_wrong_shape_say_what_to_write() {
    assert_error("block", &["`block` needs a value\nhelp: write `block = 64`"]);
    assert_error("block =", &["`block` needs a value"]);
    assert_error("groups(4)", &["`groups` takes one value after `=`, not a list"]);
    assert_error("keep = 1", &["`keep` takes a list in parentheses, not `=`"]);
    assert_error("keep()", &["`keep()` sets nothing"]);
    assert_error("arch = sm_80", &["`arch` takes a list", "`arch(sm_80, sm_90a)`"]);
    assert_error("budget(all)", &["`budget` takes one value after `=`"]);
    assert_error("budget = top_k", &["`top_k` needs the number of blocks"]);
    assert_error("budget = top_k()", &["`top_k` needs the number of blocks"]);
    assert_error("budget = top_k(64)", &["write `top_k(blocks = 64)`"]);
    assert_error("budget = ratio", &["`ratio` needs the share of blocks"]);
    assert_error("budget = ratio(share = 0.1)", &["write `ratio(0.1)`"]);
    assert_error("budget = ratio(split = heads)", &["`ratio` needs the share of blocks"]);
    assert_error("budget = ratio(split = heads, 0.1)", &["expected a key, found `0.1`"]);
    assert_error(
        "budget = ratio(0.1 split = heads)",
        &["a comma is missing before `split`", "help: write `0.1, split = heads`"],
    );
    assert_error("budget = ratio(0.1, min_tokens = 512)", &["has no effect without `split = heads`"]);
    assert_error("budget = dynamic(0.9)", &["`dynamic` takes its parts by name", "`dynamic(gamma = 0.9)`"]);
    assert_error("budget = all(1)", &["`all` takes no parts"]);
    assert_error("scorer(proxy)", &["`scorer` takes one value after `=`, not a list"]);
    assert_error("scorer = 1", &["`scorer` expects one of its kinds, found `1`"]);
    assert_error("budget = 64", &["`budget` expects one of its kinds, found `64`"]);
    assert_error("block: 64", &["expected `=` or `(…)` after `block`, found `:`"]);
    assert_error("64", &["expected a key, found `64`"]);
    assert_error("block = 64, block(q = 128)", &["`block` is given twice"]);
    assert_error("arch(sm_80, sm_80)", &["`arch` names `sm_80` twice"]);
    assert_error(
        "block = 64 groups = 4",
        &["a comma is missing before `groups`", "help: write `block = 64, groups = 4`"],
    );
    assert_error("block: 64", &["after `block`, found `:`", "help: write `block = 64`"]);
    assert_error("budget = dynamic(gamma: 0.9)", &["after `gamma`, found `:`", "help: write `gamma = 0.9`"]);
    assert_error("block 64", &["after `block`, found `64`", "help: write `block = 64`"]);
    assert_error("block:", &["found `:`", "help: write `block = …`"]);
    assert_error("causal keep(sink = 2)", &["a comma is missing before `keep`"]);
    assert_error("stride(q = 4 kv = 1)", &["a comma is missing before `kv`"]);
}

#[test]
fn one_value_for_two_sides_is_reported_once_under_its_own_name() {
    assert_error("block = 48", &["`block` must be 32, 64 or 128 tokens, not 48"]);
    assert_error(
        "stride = 5",
        &["`stride` must divide `block(q)`, and 5 does not divide 64", "its divisors are 1, 2"],
    );
}

#[test]
fn a_default_is_not_blamed_beside_the_value_that_breaks_it() {
    assert_error("block = 50", &["`block` must be 32, 64 or 128 tokens, not 50"]);
    assert_error("keep(sink = 2000000)", &["`keep(sink)` must be at most"]);
}

#[test]
fn rules_are_judged_beside_values_that_could_not_be_read() {
    let messages = errors("blok = 32, head_dim = 100, stride(q = 5), dtype = f64, budget = ratio(10)");
    assert_eq!(messages.len(), 4, "{messages:#?}");
    for (message, part) in messages.iter().zip(["`blok`", "`f64`", "`head_dim`", "`ratio`"]) {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn errors_keep_the_item_and_a_stand_in() {
    let output = expanded("dtype = f16, block = 7");
    for part in [
        ITEM.trim_end_matches(';'),
        "compile_error",
        "AttentionKernel for Kernel",
        "Elem = :: proxyattn :: __private :: f16",
        "pub fn load",
    ] {
        assert!(output.contains(part), "{part} in {output}");
    }
    assert!(!output.contains("assert !"), "a stand-in is not asserted");
}

#[test]
fn other_items_are_named() {
    let cases = [
        ("fn f(x: u32) -> u32 { x }", "not on a function"),
        ("pub const fn f() {}", "not on a function"),
        ("/// An enum.\nenum E { A }", "not on an enum"),
        ("union U { a: u32 }", "not on a union"),
        ("mod m {}", "not on a module"),
        ("impl X {}", "not on an impl block"),
        ("const X: u32 = 5;", "not on a constant"),
        ("struct K { a: u32 }", "and `K` has a body"),
        ("struct K(u32);", "and `K` has a body"),
        ("struct K {}", "and `K` has a body"),
        ("struct K<T>;", "and `K` is generic"),
        ("struct K<'a>(&'a u8);", "and `K` is generic"),
        ("#[proxy_attention(groups = 2)] struct K;", "given twice on `K`"),
        ("", "not on this item"),
    ];
    for (item, expected) in cases {
        let item = TokenStream::from_str(item).expect("lexes");
        let output = expand(quote!(block = 64), item.clone());
        let messages = errors_of(output.clone());
        assert!(messages.len() == 1 && messages[0].contains(expected), "{item}: {messages:?}");
        assert!(output.to_string().starts_with(&item.to_string()), "{item} stays");
    }
}

#[test]
fn cfgs_of_the_struct_go_to_everything_beside_it() {
    let output = expand(
        quote!(),
        quote!(
            #[cfg(unix)]
            #[derive(Clone)]
            struct Kernel;
        ),
    )
    .to_string();
    assert_eq!(output.matches("# [cfg (unix)]").count(), 4, "struct, two impls, assertion: {output}");
    assert_eq!(output.matches("# [derive").count(), 1);
}

#[test]
fn raw_identifiers_keep_their_name() {
    let output = expand(
        quote!(),
        quote!(
            struct r#type;
        ),
    )
    .to_string();
    assert!(output.contains("for r#type") && output.contains("\"type\""), "{output}");
}
