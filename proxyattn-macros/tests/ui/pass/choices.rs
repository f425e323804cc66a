//! Every part of the choices: what is written, and what a part that is left out stands for.
#![deny(warnings)]

use proxyattn::codegen::{
    Budget, Dynamic, Order, Pools, Precision, Proxy, Ratio, Rows, Scorer, Spec, Split, Sums, TopK, Weigh,
};
use proxyattn::prelude::*;

#[proxy_attention(
    scorer = proxy(sums = maxima, scores = e4m3),
    budget = dynamic(gamma = 0.8, min_tokens = 1024, rows = absolute, order = list, weigh = values),
)]
struct Every;

#[proxy_attention(budget = dynamic(order = list), scorer = proxy(scores = e4m3), preset = paper)]
struct BesideThePreset;

#[proxy_attention(budget = ratio(0.1, split = heads, min_tokens = 256))]
struct Divided;

#[proxy_attention(budget = ratio(0.1), preset = paper, scorer = proxy)]
struct Undivided;

#[proxy_attention(budget = top_k(blocks = 8))]
struct Counted;

#[proxy_attention(budget = all)]
struct Dense;

fn main() {
    let scorer = Scorer::Proxy(Proxy { sums: Sums::Maxima, scores: Precision::E4m3, pool: Pools::Max });
    let budget = Budget::Dynamic(Dynamic {
        gamma: 0.8,
        min_tokens: 1024,
        rows: Rows::Absolute,
        order: Order::List,
        weigh: Weigh::Values,
    });
    assert_eq!(Every::SPEC, Spec { scorer, budget, ..Spec::DEFAULT });

    let scorer = Scorer::Proxy(Proxy { scores: Precision::E4m3, ..Proxy::PAPER });
    let budget = Budget::Dynamic(Dynamic { order: Order::List, ..Dynamic::PAPER });
    assert_eq!(BesideThePreset::SPEC, Spec { scorer, budget, ..Spec::PAPER });

    let budget = Budget::Ratio(Ratio { share: 0.1, split: Split::Heads, min_tokens: 256 });
    assert_eq!(Divided::SPEC, Spec { budget, ..Spec::DEFAULT });
    let budget = Budget::Ratio(Ratio { share: 0.1, split: Split::None, min_tokens: 512 });
    assert_eq!(Undivided::SPEC, Spec { budget, ..Spec::PAPER });
    assert_eq!(Counted::SPEC, Spec { budget: Budget::TopK(TopK { blocks: 8 }), ..Spec::DEFAULT });
    assert_eq!(Dense::SPEC, Spec { budget: Budget::All, ..Spec::DEFAULT });
}
