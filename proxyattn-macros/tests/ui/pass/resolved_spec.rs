//! The constants that the attribute writes are those that `Spec` itself declares.
#![deny(warnings)]

use proxyattn::codegen::{Budget, Dynamic, Spec, Stride};
use proxyattn::prelude::*;

#[proxy_attention]
struct Defaults;

#[proxy_attention(preset = paper)]
struct Paper;

#[proxy_attention(budget = dynamic(gamma = 0.9), stride(kv = 1), preset = paper)]
struct AfterThePaper;

fn main() {
    assert_eq!(Defaults::SPEC, Spec::DEFAULT);
    assert_eq!(Paper::SPEC, Spec::PAPER);
    let budget = Budget::Dynamic(Dynamic { gamma: 0.9, ..Dynamic::PAPER });
    assert_eq!(AfterThePaper::SPEC, Spec { stride: Stride { q: 4, kv: 1 }, budget, ..Spec::PAPER });
}
