//! What `Spec::attribute` writes is what the attribute reads.

use proxyattn_attribute::{Errors, read};
use proxyattn_codegen::{Arch, ArchSet, Block, Budget, Dtype, Dynamic, Keep, Rows, Spec, Stride};

fn read_back(text: &str) -> Spec {
    let mut errors = Errors::default();
    let model = read(text.parse().expect("the text lexes"), &mut errors);
    let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "`{text}`: {told:?}");
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
        budget: Budget::Dynamic(Dynamic {
            gamma: 0.85,
            min_tokens: 1024,
            rows: Rows::Absolute,
            ..Dynamic::DEFAULT
        }),
        keep: Keep { sink: 2, local: 1 },
        arch: ArchSet::of(&[Arch::Sm90a]),
        ..Spec::DEFAULT
    };
    assert_eq!(
        every.attribute(),
        "head_dim = 96, block(q = 128, kv = 64), groups = 2, heads = 32, kv_heads = 8, stride(q = 8, kv = 2), \
         dtype = f16, causal = false, scale = 0.001, \
         budget = dynamic(gamma = 0.85, min_tokens = 1024, rows = absolute), keep(sink = 2, local = 1), \
         arch(sm_90a)"
    );
    let budgets = [Budget::All, Budget::ratio(0.1), Budget::top_k(64)];
    let others = budgets.map(|budget| Spec { budget, stride: Stride { q: 4, kv: 4 }, ..Spec::DEFAULT });
    for spec in [every, Spec::PAPER, Spec::DEFAULT].into_iter().chain(others) {
        assert_eq!(read_back(&spec.attribute()), spec);
    }
    assert_eq!(Spec::DEFAULT.attribute(), "");
}
