//! `MoA` (arXiv 2406.14909): the spans of `moa_config_to_cache_config`, and the layouts of `gen_bigbird_pattern`.
//!
//! `MoA` is `scorer = nearest, budget = spans(min_tokens = 128)` with the sink, at blocks of 64 tokens. The authors add the tokens
//! that are going to be generated to the keys of a prompt, because they have room for a cache to fill; a prefill has the keys of
//! its call alone, so theirs are compared with ours of as many keys as they add up to. A band of theirs is one block narrower
//! than the list, which has the sink. Nothing else differs.

use crate::inputs::{DIM, HEADS, TOKENS};
use crate::verify::{Golden, data, oracle, spec, trace};
use half::bf16;
use proxyattn::{Attention, Device, HeadSpans, Tensor};
use proxyattn_oracle::compare;

#[test]
fn lists_are_the_layouts_of_moa() {
    for (band, layout) in data("moa")["layouts"].as_object().expect("layouts by their bands") {
        let rows = serde_json::from_value(layout.clone()).expect("lists of rows");
        let golden = Golden(vec![rows; HEADS]);
        let count = band.parse::<usize>().expect("a number") + 1;
        let spec = spec(&format!("scorer = nearest, budget = top_k(blocks = {count}), keep(sink = 1)"));
        let agreement = compare::selection(&oracle(&spec, TOKENS), &golden);
        let agreement = agreement.faultless().unwrap_or_else(|fault| panic!("a band of {band}: {fault}"));
        assert_eq!((agreement.swapped, agreement.recounted), (0, 0), "a band of {band}: {agreement}");
        let selection = trace(&spec, TOKENS).selection;
        for (head, rows) in golden.0.iter().enumerate() {
            for (row, expected) in rows.iter().enumerate() {
                let mut blocks = selection.blocks(0, head, row).to_vec();
                blocks.sort_unstable();
                assert_eq!(&blocks, expected, "a band of {band}, head {head}, row {row}");
            }
        }
    }
}

#[test]
fn lists_have_the_spans_of_moa() {
    const BLOCK: usize = 64;
    let data = data("moa");
    let plan = serde_json::json!({ "alphas": data["alphas"], "betas": data["betas"] }).to_string();
    let model = HeadSpans::from_moa(&plan).expect("a plan of MoA's form");
    let spec = spec("scorer = nearest, budget = spans(min_tokens = 128), keep(sink = 1)");
    for (lengths, spans) in data["spans"].as_object().expect("spans by tokens of a prompt and those to come")
    {
        let tokens: usize = lengths.split(',').map(|n| n.parse::<usize>().expect("a number")).sum();
        let of = |name: &str| -> Vec<Vec<usize>> {
            serde_json::from_value(spans[name].clone()).expect("layers of heads")
        };
        let (sizes, sinks) = (of("sizes"), of("sinks"));
        assert_eq!(sizes.len(), model.layers());
        // The last row: nearest looks at no input.
        let queries = (tokens - 1) % BLOCK + 1;
        for (layer, (sizes, sinks)) in sizes.iter().zip(&sinks).enumerate() {
            let tensor = |tokens: usize| {
                let zeros = vec![bf16::ZERO; sizes.len() * tokens * DIM];
                Tensor::from_bhsd(zeros, [1, sizes.len(), tokens, DIM]).expect("as many as the shape says")
            };
            let (q, k) = (tensor(queries), tensor(tokens));
            let layer = model.layer(layer).expect("a layer");
            let attention = Attention::load_layer(&spec, &Device::cpu(), &layer).expect("a valid kernel");
            let attention = attention.with_dense_below(0);
            let selection = attention.prefill_traced(&q, &k, &k, &()).expect("a prefill").selection;
            let last = (tokens - 1) / BLOCK;
            for (head, (size, sink)) in sizes.iter().zip(sinks).enumerate() {
                let (count, sink) = (size / BLOCK, sink / BLOCK);
                let band = last + 1 + sink - count..=last;
                let expected: Vec<u32> = (0..sink).chain(band).map(|block| block as u32).collect();
                let mut blocks = selection.blocks(0, head, 0).to_vec();
                blocks.sort_unstable();
                assert_eq!(blocks, expected, "{lengths} tokens, {layer:?}, head {head}");
            }
        }
    }
}
