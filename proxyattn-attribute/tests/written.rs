//! What `Spec::attribute` writes is what the attribute reads.

use proxyattn_attribute::{Errors, read};
use proxyattn_codegen::syntax::{Choice, Slot};
use proxyattn_codegen::{
    Arch, ArchSet, Block, Budget, Dtype, Dynamic, Keep, Order, Pools, Precision, Proxy, Rows, Scorer, Spec,
    Stride, Sums, Weigh,
};

fn read_back(text: &str) -> Spec {
    let mut errors = Errors::default();
    let model = read(text.parse().expect("the text lexes"), &mut errors);
    let reported: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert!(reported.is_empty(), "`{text}`: {reported:?}");
    model.spec
}

#[test]
fn every_key_comes_back() {
    let every = Spec {
        head_dim: 96,
        block: Block { q: 128, kv: 64 },
        groups: Some(2),
        heads: Some(32),
        kv_heads: Some(8),
        stride: Stride { q: 8, kv: 2 },
        dtype: Dtype::F16,
        causal: false,
        scale: Some(1e-3),
        scorer: Scorer::Proxy(Proxy { sums: Sums::Exact, scores: Precision::Native, pool: Pools::Max }),
        budget: Budget::Dynamic(Dynamic {
            gamma: 0.85,
            min_tokens: 1024,
            rows: Rows::Absolute,
            order: Order::Own,
            weigh: Weigh::None,
        }),
        keep: Keep { sink: 2, local: 1 },
        arch: ArchSet::of(&[Arch::Sm90a]),
    };
    assert_eq!(
        every.attribute(),
        "head_dim = 96, block(q = 128, kv = 64), groups = 2, heads = 32, kv_heads = 8, stride(q = 8, kv = 2), \
         dtype = f16, causal = false, scale = 0.001, \
         scorer = proxy(sums = exact, scores = native), \
         budget = dynamic(gamma = 0.85, min_tokens = 1024, rows = absolute, order = own, weigh = none), \
         keep(sink = 2, local = 1), arch(sm_90a)"
    );
    let budgets = [Budget::All, Budget::ratio(0.1), Budget::top_k(64)];
    let others = budgets.map(|budget| Spec { budget, stride: Stride { q: 4, kv: 4 }, ..Spec::DEFAULT });
    for spec in [every, Spec::PAPER, Spec::DEFAULT].into_iter().chain(others) {
        assert_eq!(read_back(&spec.attribute()), spec);
    }
    assert_eq!(Spec::DEFAULT.attribute(), "");
}

#[test]
fn a_part_that_has_no_effect_or_goes_without_saying_is_not_written() {
    let written = |budget: &str| read_back(&format!("budget = {budget}")).budget.to_string();
    assert_eq!(written("ratio(0.10, split = none)"), "ratio(0.1)");
    assert_eq!(written("ratio(0.1, split = heads)"), "ratio(0.1, split = heads, min_tokens = 512)");
    assert_eq!(
        written("ratio(0.1, min_tokens = 64, split = heads)"),
        "ratio(0.1, split = heads, min_tokens = 64)"
    );
    assert_eq!(written("all"), "all");
    assert_eq!(written("top_k(blocks = 8)"), "top_k(blocks = 8)");
}

#[test]
fn what_is_left_out_comes_from_a_preset_of_the_same_kind() {
    let of = |budget: &str| read_back(budget).budget;
    let part = Dynamic { weigh: Weigh::Values, ..Dynamic::PAPER };
    assert_eq!(of("budget = dynamic(weigh = values), preset = paper"), Budget::Dynamic(part));
    let part = Dynamic { weigh: Weigh::None, ..Dynamic::DEFAULT };
    assert_eq!(of("budget = dynamic(weigh = none)"), Budget::Dynamic(part));
    assert_eq!(of("preset = paper, budget = ratio(0.1)"), Budget::ratio(0.1));
    let scorer = |text: &str| read_back(text).scorer;
    let maxima = |proxy| Scorer::Proxy(Proxy { sums: Sums::Maxima, ..proxy });
    assert_eq!(scorer("scorer = proxy(sums = maxima), preset = paper"), maxima(Proxy::PAPER));
    let exact = Scorer::Proxy(Proxy { sums: Sums::Exact, ..Proxy::DEFAULT });
    assert_eq!(scorer("scorer = proxy(sums = exact)"), exact);
    assert_eq!(scorer("scorer = proxy"), Scorer::Proxy(Proxy::DEFAULT));
}

/// Every kind as its example, every part as the help of errors writes it, and every word of it.
fn read_back_every_kind<C: Choice + PartialEq + std::fmt::Debug>(of: impl Fn(Spec) -> C) {
    let read = |text: String| of(read_back(&format!("{} = {text}", C::KEY)));
    for &(mut default) in C::KINDS {
        let syntax = default.syntax();
        assert_eq!(read(syntax.example.to_owned()).syntax(), syntax);
        let words = default.kind(|kind| {
            let words = kind.parts().into_iter().map(|(_, slot)| match slot {
                Slot::Word(word) => word.names(),
                Slot::Number(_) | Slot::Integer(_) => &[],
            });
            words.collect::<Vec<_>>()
        });
        for (part, words) in syntax.parts.iter().zip(words) {
            let usage = syntax.usage(part);
            assert_eq!(read(usage.clone()).syntax(), syntax, "{usage}");
            for word in words {
                let usage = usage.replace(
                    &format!("{} = {}", part.name, part.example),
                    &format!("{} = {word}", part.name),
                );
                let mut choice = read(usage.clone());
                let taken = choice.kind(|kind| {
                    let mut values = kind.parts().into_iter();
                    values.find(|(other, _)| *other == part).map(|(_, slot)| slot.to_string())
                });
                assert_eq!(taken.as_deref(), Some(*word), "{usage}");
            }
        }
    }
}

#[test]
fn every_kind_comes_back_as_the_help_of_errors_writes_it() {
    read_back_every_kind(|spec| spec.scorer);
    read_back_every_kind(|spec| spec.budget);
}
