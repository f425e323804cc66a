//! The configurations whose kernels are looked at: together they hold every value of every key.

use proxyattn_codegen::syntax::Choice;
use proxyattn_codegen::{
    Block, Budget, Dtype, Dynamic, Keep, Order, Ratio, Rows, Scorer, Spec, Split, Stride, Weigh,
};

const fn dynamic(gamma: f64, min_tokens: u32, rows: Rows) -> Budget {
    Budget::Dynamic(Dynamic { gamma, min_tokens, rows, ..Dynamic::DEFAULT })
}

/// A name for each, as files are called: those below, and the defaults with each kind of a choice that they lack.
pub(super) fn configurations() -> Vec<(&'static str, Spec)> {
    let scorers = Scorer::KINDS.iter().filter(|kind| lacks(**kind, |spec| spec.scorer));
    let scorers = scorers.map(|&scorer| (scorer.syntax().name, Spec { scorer, ..Spec::DEFAULT }));
    let budgets = Budget::KINDS.iter().filter(|kind| lacks(**kind, |spec| spec.budget));
    let budgets = budgets.map(|&budget| (budget.syntax().name, Spec { budget, ..Spec::DEFAULT }));
    CONFIGURATIONS.iter().copied().chain(scorers).chain(budgets).collect()
}

/// Whether no configuration below has a choice of this kind.
fn lacks<C: Choice>(kind: C, of: impl Fn(&Spec) -> C) -> bool {
    CONFIGURATIONS.iter().all(|(_, spec)| of(spec).syntax() != kind.syntax())
}

const CONFIGURATIONS: &[(&str, Spec)] = &[
    ("default", Spec::DEFAULT),
    ("paper", Spec { groups: Some(1), ..Spec::PAPER }),
    ("dense", Spec { budget: Budget::All, ..Spec::DEFAULT }),
    (
        "small_f16",
        Spec {
            head_dim: 64,
            block: Block { q: 32, kv: 32 },
            dtype: Dtype::F16,
            budget: Budget::ratio(0.1),
            ..Spec::DEFAULT
        },
    ),
    (
        "wide_blocks",
        Spec {
            block: Block { q: 128, kv: 128 },
            groups: Some(4),
            stride: Stride { q: 16, kv: 2 },
            budget: Budget::top_k(64),
            keep: Keep { sink: 2, local: 3 },
            ..Spec::DEFAULT
        },
    ),
    (
        "head_dim_96",
        Spec {
            head_dim: 96,
            block: Block { q: 128, kv: 64 },
            stride: Stride { q: 1, kv: 1 },
            heads: Some(32),
            kv_heads: Some(32),
            ..Spec::DEFAULT
        },
    ),
    (
        "head_dim_256",
        Spec {
            head_dim: 256,
            scale: Some(0.0625),
            budget: dynamic(0.85, 1024, Rows::Absolute),
            keep: Keep { sink: 0, local: 0 },
            ..Spec::DEFAULT
        },
    ),
    (
        "by_list",
        Spec {
            budget: Budget::Dynamic(Dynamic { order: Order::List, weigh: Weigh::Values, ..Dynamic::DEFAULT }),
            ..Spec::DEFAULT
        },
    ),
    (
        "divided",
        Spec { budget: Budget::Ratio(Ratio { split: Split::Heads, ..Ratio::DEFAULT }), ..Spec::DEFAULT },
    ),
    ("strided", Spec { stride: Stride { q: 4, kv: 4 }, ..Spec::DEFAULT }),
    (
        "weighed",
        Spec {
            head_dim: 64,
            block: Block { q: 128, kv: 32 },
            stride: Stride { q: 16, kv: 4 },
            dtype: Dtype::F16,
            budget: Budget::Dynamic(Dynamic { order: Order::Own, weigh: Weigh::Values, ..Dynamic::DEFAULT }),
            ..Spec::DEFAULT
        },
    ),
    (
        "both_directions",
        Spec {
            head_dim: 64,
            causal: false,
            block: Block { q: 64, kv: 128 },
            stride: Stride { q: 64, kv: 128 },
            ..Spec::DEFAULT
        },
    ),
];
