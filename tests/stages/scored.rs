//! Stages of the scorer's parts: sums of block maxima, and e4m3; and of the last queries.

use super::*;
use proxyattn::codegen::{Pools, Precision, Proxy, Sums, VerticalSlash};

/// The scorer with its parts.
const fn proxy(sums: Sums, scores: Precision) -> Scorer {
    Scorer::Proxy(Proxy { sums, scores, ..Proxy::DEFAULT })
}

/// The scorer that adds up what a block's keys have.
const fn summed(scores: Precision) -> Scorer {
    Scorer::Proxy(Proxy { scores, pool: Pools::Sum, ..Proxy::DEFAULT })
}

/// The scorer of so many last queries.
const fn last(last: u32) -> Scorer {
    Scorer::VerticalSlash(VerticalSlash { last })
}

const MAXIMA: Scorer = proxy(Sums::Maxima, Precision::Native);
const E4M3: Scorer = proxy(Sums::Maxima, Precision::E4m3);

stages! { Arch::Sm80;
    /// Sums of block maxima: blocks of several n-tiles, ragged lengths.
    maxima: bf16, Spec { scorer: MAXIMA, budget: SMALL, ..Spec::DEFAULT }, |t| t, &[[1, 4, 2, 300, 512], [2, 2, 1, 1, 403]];
    /// Blocks of two tiles, the widest rows, no causal rule.
    maxima_of_tiles: f16, Spec {
            head_dim: 256, block: Block { q: 32, kv: 128 }, dtype: Dtype::F16, causal: false, scorer: MAXIMA,
            budget: Budget::ratio(0.3), stride: Stride { q: 2, kv: 1 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 700], [1, 2, 1, 150, 70]];
    /// Blocks of four samples, of two and of one.
    maxima_of_four: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 16 }, scorer: MAXIMA, budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 500]];
    maxima_of_two: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 32 }, scorer: MAXIMA, budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 530]];
    maxima_of_one: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 64 }, scorer: MAXIMA, budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 550]];
    /// e4m3, with a proxy per KV head and one for several.
    e4m3: bf16, Spec { scorer: E4M3, budget: SMALL, ..Spec::DEFAULT }, |t| t, &[[1, 4, 2, 300, 512], [2, 2, 1, 1, 403]];
    e4m3_one_proxy: f16, Spec {
            head_dim: 96, block: Block { q: 64, kv: 32 }, dtype: Dtype::F16, groups: Some(1), scorer: E4M3,
            budget: Budget::ratio(0.3), stride: Stride { q: 4, kv: 4 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 6, 3, 150, 2200]];
    /// ... whose sums are those of all keys, with blocks of several n-tiles and of one sample.
    e4m3_exact: bf16, Spec { scorer: proxy(Sums::Exact, Precision::E4m3), budget: SMALL, ..Spec::DEFAULT }, |t| t,
        &[[1, 2, 1, 200, 403]];
    e4m3_exact_of_one: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 64 }, scorer: proxy(Sums::Exact, Precision::E4m3),
            budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 550]];
    e4m3_of_tiles: f16, Spec {
            head_dim: 256, block: Block { q: 32, kv: 128 }, dtype: Dtype::F16, causal: false, scorer: E4M3,
            budget: Budget::ratio(0.3), stride: Stride { q: 2, kv: 1 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 700]];
    e4m3_of_one: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 64 }, scorer: E4M3, budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 550]];
    /// Sums over a block's keys and a row's samples: blocks of several n-tiles, of two tiles, of four samples and of two, ...
    sum: bf16, Spec { scorer: summed(Precision::Native), budget: SMALL, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 300, 512], [2, 2, 1, 1, 403]];
    sum_of_tiles: f16, Spec {
            head_dim: 256, block: Block { q: 32, kv: 128 }, dtype: Dtype::F16, causal: false, scorer: summed(Precision::Native),
            budget: Budget::ratio(0.3), stride: Stride { q: 2, kv: 1 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 700], [1, 2, 1, 150, 70]];
    sum_of_four: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 16 }, scorer: summed(Precision::Native), budget: Budget::ratio(0.4),
            ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 500]];
    sum_of_two: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 32 }, scorer: summed(Precision::Native), budget: Budget::ratio(0.4),
            ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 530]];
    /// ... and the same in e4m3, the last of one sample.
    sum_e4m3: bf16, Spec { scorer: summed(Precision::E4m3), budget: SMALL, ..Spec::DEFAULT }, |t| t, &[[1, 4, 2, 300, 512]];
    sum_e4m3_of_tiles: f16, Spec {
            head_dim: 64, block: Block { q: 32, kv: 128 }, dtype: Dtype::F16, scorer: summed(Precision::E4m3),
            budget: Budget::ratio(0.3), stride: Stride { q: 2, kv: 1 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 700]];
    sum_e4m3_of_four: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 16 }, scorer: summed(Precision::E4m3), budget: Budget::ratio(0.4),
            ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 550]];
    sum_e4m3_of_one: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 64 }, scorer: summed(Precision::E4m3), budget: Budget::ratio(0.4),
            ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 550]];
    /// Rows that lie in blocks of keys as every fourth one does, the widest rows, no causal rule.
    last_rows_apart: f16, Spec {
            head_dim: 256, block: Block { q: 32, kv: 128 }, dtype: Dtype::F16, causal: false, scorer: last(128),
            budget: Budget::ratio(0.3), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 300, 700], [1, 2, 1, 150, 70], [1, 2, 1, 70, 300]];
    /// Several last rows, heads that fill no CTA, ragged lengths.
    last_rows: bf16, Spec { block: Block { q: 32, kv: 32 }, scorer: last(128), budget: Budget::ratio(0.2), ..Spec::DEFAULT },
        |t| t, &[[1, 3, 1, 333, 333], [2, 4, 2, 40, 500]];
    /// Four heads to a CTA, beside a budget that looks at the last queries as well.
    last_of_few: bf16, Spec {
            head_dim: 96, block: Block { q: 32, kv: 32 }, scorer: last(32), budget: SMALL, ..Spec::DEFAULT
        }, |t| t, &[[1, 6, 2, 300, 403]];
}

stages! { Arch::Sm90a;
    /// Two blocks to a stage, segments that rows see in part, ragged lengths.
    hopper_maxima: bf16, Spec { scorer: MAXIMA, budget: SMALL, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 300, 512], [2, 2, 1, 1, 403], [1, 2, 1, 100, 2600]];
    /// Eight blocks to a stage; one block to a stage.
    hopper_maxima_of_few: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, stride: Stride { q: 4, kv: 4 }, scorer: MAXIMA, budget: Budget::ratio(0.3),
            ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 300, 1100]];
    hopper_maxima_of_many: bf16, Spec {
            block: Block { q: 128, kv: 128 }, causal: false, stride: Stride { q: 8, kv: 1 }, scorer: MAXIMA,
            budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 300, 600]];
    /// The same in e4m3: bytes at 128 dims, elements that hold them at others.
    hopper_e4m3: bf16, Spec { scorer: E4M3, budget: SMALL, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 300, 512], [2, 2, 1, 1, 403], [1, 2, 1, 100, 2600]];
    /// Sixteen blocks to a stage: their maxima are taken at once.
    hopper_e4m3_of_few: f16, Spec {
            block: Block { q: 64, kv: 32 }, dtype: Dtype::F16, groups: Some(1), stride: Stride { q: 4, kv: 4 }, scorer: E4M3,
            budget: Budget::ratio(0.3), ..Spec::DEFAULT
        }, |t| t, &[[1, 4, 2, 150, 2200]];
    hopper_e4m3_of_many: bf16, Spec {
            block: Block { q: 128, kv: 128 }, causal: false, stride: Stride { q: 8, kv: 1 }, scorer: E4M3,
            budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 300, 600]];
    hopper_e4m3_exact: bf16, Spec { scorer: proxy(Sums::Exact, Precision::E4m3), budget: Budget::ratio(0.3), ..Spec::DEFAULT },
        |t| t, &[[1, 4, 2, 300, 512], [2, 2, 1, 1, 403]];
    hopper_e4m3_narrow: bf16, Spec { head_dim: 64, scorer: E4M3, budget: Budget::ratio(0.3), ..Spec::DEFAULT },
        |t| Tiles { hopper: HopperTiles { keys: 64, ..t.hopper }, ..t }, &[[1, 2, 1, 200, 512]];
}
