//! `SparseMM` (arXiv 2506.05344): the budgets that its constructor divides among heads by their scores.
//!
//! `SparseMM` gives each head so many keys of its cache while it decodes, `capacity − window` on average, and the window of
//! the last queries on top. Here a head visits as many keys of a row, in whole blocks. The weights are its arithmetic, but for
//! three things: its even part is a whole number of tokens, it rounds budgets to tokens, and heads of a KV head have one budget,
//! which is the mean of what they have here. No head visits more keys than there are.

use crate::inputs::{DIM, TOKENS, first};
use crate::verify::{data, spec};
use half::bf16;
use proxyattn::{Attention, Device, HeadShares, Tensor};
use serde_json::Value;

const BLOCK: usize = 32;

/// Budgets of one capacity.
struct Budgets {
    capacity: usize,
    ratio: f64,
    /// Query heads of a KV head.
    group: usize,
    /// `[layer][KV head]`.
    tokens: Vec<Vec<usize>>,
}

impl Budgets {
    fn all(data: &Value) -> Vec<Self> {
        let of = |case: &Value| {
            let (capacity, ratio, group, tokens) =
                serde_json::from_value(case.clone()).expect("capacity, ratio, group and budgets");
            Self { capacity, ratio, group, tokens }
        };
        data["budgets"].as_array().expect("cases").iter().map(of).collect()
    }

    /// Tokens of a head on average, without the window.
    fn mean(&self, data: &Value) -> usize {
        self.capacity - data["window"].as_u64().expect("tokens") as usize
    }

    /// The weights of the heads, whose even part is a whole number of tokens.
    fn weights(&self, data: &Value) -> HeadShares {
        let mean = self.mean(data);
        let even = (self.ratio * mean as f64).floor() / mean as f64;
        let layers = data["scores"].as_array().expect("layers").iter().enumerate();
        let heads = layers.flat_map(|(layer, heads)| {
            let heads = heads.as_array().expect("heads").iter().enumerate();
            heads.map(move |(head, scores)| format!(r#""{layer}-{head}": {scores}"#))
        });
        let scores = format!("{{{}}}", heads.collect::<Vec<_>>().join(","));
        HeadShares::from_scores(&scores, even).expect("scores of every head")
    }
}

#[test]
fn budgets_of_sparsemm_are_its_heads_weights() {
    let data = data("sparsemm");
    for budgets in Budgets::all(&data) {
        let (weights, mean) = (budgets.weights(&data), budgets.mean(&data) as f64);
        assert_eq!(weights.layers(), budgets.tokens.len());
        for (layer, expected) in budgets.tokens.iter().enumerate() {
            let weights = weights.layer(layer).expect("a layer");
            let of_groups = weights.weights().chunks_exact(budgets.group);
            assert_eq!(of_groups.len(), expected.len());
            for (weights, &tokens) in of_groups.zip(expected) {
                let got = mean * weights.iter().sum::<f64>() / budgets.group as f64;
                assert!((got - tokens as f64).abs() < 0.501, "layer {layer}: {got}, not {tokens}");
            }
        }
    }
}

#[test]
fn lists_have_the_budgets_of_sparsemm() {
    let data = data("sparsemm");
    let heads = data["heads"].as_u64().expect("a number") as usize;
    let [q, k] = first(TOKENS).map(|tensor| {
        let numbers: Vec<bf16> = tensor.into_vec().expect("on the CPU");
        let all = numbers.iter().copied().cycle().take(heads * TOKENS * DIM).collect();
        Tensor::from_bhsd(all, [1, heads, TOKENS, DIM]).expect("as many numbers as the shape says")
    });
    // One query: the row sees every key.
    let numbers: Vec<bf16> = q.into_vec().expect("on the CPU");
    let last = numbers.chunks(TOKENS * DIM).flat_map(|head| head[(TOKENS - 1) * DIM..].to_vec()).collect();
    let q = Tensor::from_bhsd(last, [1, heads, 1, DIM]).expect("as many numbers as the shape says");
    for budgets in Budgets::all(&data).into_iter().filter(|budgets| budgets.group == 1) {
        let share = budgets.mean(&data) as f64 / TOKENS as f64;
        let spec = spec(&format!(
            "block = {BLOCK}, budget = per_head({share}, min_tokens = {BLOCK}), keep(sink = 0)"
        ));
        let weights = budgets.weights(&data);
        for (layer, expected) in budgets.tokens.iter().enumerate() {
            let layer = weights.layer(layer).expect("a layer");
            let attention = Attention::load_layer(&spec, &Device::cpu(), &layer).expect("a valid kernel");
            let attention = attention.with_dense_below(0);
            let selection = attention.prefill_traced(&q, &k, &k, &()).expect("a prefill").selection;
            for (head, &tokens) in expected.iter().enumerate() {
                // As many blocks as its budget fills, which was rounded to a token.
                let (count, tokens) = (selection.count(0, head, 0) * BLOCK, tokens.min(TOKENS) as f64);
                let fills = count as f64 > tokens - 0.501 && ((count - BLOCK) as f64) < tokens + 0.501;
                assert!(fills, "share {share}, head {head}: {count}, not {tokens}");
            }
        }
    }
}
