//! Stages of the scorer `antidiagonal`, where blocks lie in other ways in tiles than in the examples of every scorer.

use super::*;
use proxyattn::codegen::{Antidiagonal, TopP};

const fn scorer(stride: u32) -> Scorer {
    Scorer::Antidiagonal(Antidiagonal { stride })
}

const TOP_P: Budget = Budget::TopP(TopP { share: 0.8 });

stages! { Arch::Sm80;
    /// Four strided keys to a block, two lanes; an offset that no window divides, less than a window of
    /// queries, and of keys.
    antidiagonal: bf16, Spec { scorer: scorer(16), budget: TOP_P, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 700, 1005], [2, 2, 1, 1, 403], [1, 2, 1, 5, 9]];
    /// Two to a block, a lane to each; rows of 96; two KV heads to a group.
    antidiagonal_of_two: f16, Spec {
            head_dim: 96, dtype: Dtype::F16, block: Block { q: 64, kv: 32 }, groups: Some(1), scorer: scorer(16),
            budget: Budget::ratio(0.3), ..Spec::DEFAULT
        }, |t| t, &[[1, 4, 2, 300, 1111]];
    /// 32 to a block, four n-tiles; the widest rows, in a single stage; no causal rule.
    antidiagonal_of_many: f16, Spec {
            head_dim: 256, dtype: Dtype::F16, causal: false, block: Block { q: 32, kv: 128 }, scorer: scorer(4),
            budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 1003], [1, 1, 1, 300, 150]];
    /// A factor near the least that kernels take: a score that no query sees is below every other.
    antidiagonal_of_a_small_scale: bf16, Spec {
            head_dim: 64, scale: Some(1e-30), scorer: scorer(8), budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 1, 1, 200, 300]];
}

stages! { Arch::Sm90a;
    /// The same; the last context is shorter than a window.
    hopper_antidiagonal: bf16, Spec { scorer: scorer(16), budget: TOP_P, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 700, 1005], [2, 2, 1, 1, 403], [1, 2, 1, 5, 9]];
    /// More strided keys than a segment has, rows on both warpgroups and past the last.
    hopper_antidiagonal_segments: bf16, Spec {
            head_dim: 64, block: Block { q: 128, kv: 128 }, scorer: scorer(8), budget: TOP_P, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 1500, 4700]];
    hopper_antidiagonal_of_two: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, block: Block { q: 64, kv: 32 }, groups: Some(1), scorer: scorer(16),
            budget: Budget::ratio(0.3), ..Spec::DEFAULT
        }, |t| t, &[[1, 4, 2, 300, 1111]];
    hopper_antidiagonal_of_many: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, causal: false, block: Block { q: 32, kv: 128 }, scorer: scorer(4),
            budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 1003], [1, 1, 1, 300, 150]];
}
