//! Random shapes and seeds for each kind of configuration.
//!
//! The cases are the same on every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` explore others.

use crate::backends::Backends;
use crate::inputs::Case;
use crate::kernels::SMALL;
use crate::verify;
use core::cell::RefCell;
use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use proxyattn::codegen::Spec;
use proxyattn::{AttentionKernel, Element, Problem};
use proxyattn_oracle::compare::Agreement;

const CASES: u32 = 100;

fn tokens() -> impl Strategy<Value = usize> {
    prop_oneof![
        proptest::sample::select(&[1usize, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 256]),
        1usize..360,
    ]
}

/// Tokens before the chunk: none, whole blocks, or anything. Longer for larger blocks.
fn context(block: usize) -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 2 => proptest::sample::select(&[32usize, 64, 128, 256]), 3 => 1..9 * block]
}

fn shapes(spec: &Spec) -> impl Strategy<Value = Case> {
    let groups = spec.groups.unwrap_or(1) as usize;
    let heads = proptest::sample::select(&[
        [1usize, 1],
        [2, 1],
        [1, 3],
        [2, 3],
        [1, 4],
        [2, 4],
        [1, 7],
        [1, 8],
        [4, 1],
    ]);
    let heads = heads.prop_map(move |[kv_heads, ratio]| [kv_heads * groups, kv_heads * groups * ratio]);
    // Without a causal mask the lengths have nothing to do with each other.
    let apart = if spec.causal { 0 } else { 1 };
    let apart = prop_oneof![2 => Just(None), apart => tokens().prop_map(Some)];
    (1usize..3, heads, tokens(), context(spec.block.kv as usize), apart, any::<u64>()).prop_map(
        |(batch, [kv_heads, heads], q_len, before, apart, seed)| Case {
            problem: Problem { batch, heads, kv_heads, q_len, kv_len: apart.unwrap_or(q_len + before) },
            seed,
        },
    )
}

/// Every kind of scorer.
pub(crate) fn every_scorer_matches(backends: &Backends) {
    for scorer in proxyattn_oracle::scorers() {
        matches::<bf16>(&scorer.to_string(), &Spec { scorer, groups: Some(1), ..SMALL }, backends);
    }
}

/// Every kind of budget.
pub(crate) fn every_budget_matches(backends: &Backends) {
    for budget in proxyattn_oracle::budgets() {
        matches::<bf16>(&budget.to_string(), &Spec { budget, ..SMALL }, backends);
    }
}

pub(crate) fn shapes_match<K: AttentionKernel>(backends: &Backends) {
    matches::<K::Elem>(K::NAME, &K::SPEC, backends);
}

fn matches<T: Element>(name: &str, spec: &Spec, backends: &Backends) {
    let mut config = Config { failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(2509_24745);
    }
    let total = RefCell::new(Agreement::default());
    let result = TestRunner::new(config).run(&shapes(spec), |case| {
        let agreement = verify::case_of::<T>(spec, backends, &case).map_err(TestCaseError::fail)?;
        total.borrow_mut().add(agreement);
        Ok(())
    });
    result.unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let total = total.into_inner();
    println!("{name}: {total}");
    let sparse = !spec.is_dense();
    assert!(!sparse || total.decided * 10 > total.lists, "too few of these cases test the scores: {total}");
}
