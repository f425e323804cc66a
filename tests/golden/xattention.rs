//! `XAttention` (arXiv 2503.16428): `xattn_estimate`, and its rule `find_blocks_chunked` on weights of ours.
//!
//! The rule takes the first block and the diagonal, and then the best of the others until they hold the share: `top_p`. The code
//! was given each row as a chunk of its own: in the first chunk of a call it forgets the first block, and counts one more
//! instead. The estimate is `antidiagonal`, for each head by itself. Nothing differs.

use crate::verify::{Golden, data, oracle, same_lists, same_lists_of, spec};

/// Theirs for each stride: sums over the softmax of the strided queries of a row, `[heads][rows][blocks]`.
#[test]
fn sums_are_those_of_xattention() {
    let data = data("xattention");
    let tokens = data["tokens"].as_u64().expect("an integer") as usize;
    for (stride, sums) in data["sums"].as_object().expect("sums by strides") {
        let sums: Vec<Vec<Vec<f64>>> = serde_json::from_value(sums.clone()).expect("sums");
        let spec =
            spec(&format!("block = 128, scorer = antidiagonal(stride = {stride}), budget = top_p(0.9)"));
        let oracle = oracle(&spec, tokens);
        for (head, rows) in sums.iter().enumerate() {
            for (row, expected) in rows.iter().enumerate() {
                let scores = oracle.row_scores(0, head, row);
                assert_eq!(scores.len(), expected.len(), "stride {stride}, head {head}, row {row}");
                for (score, expected) in scores.iter().zip(expected) {
                    let sum = score.exp();
                    assert!(
                        (sum - expected).abs() <= 1e-4 * expected.max(1e-3),
                        "stride {stride}, head {head}, row {row}: {sum}, not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn lists_are_those_of_xattention() {
    let data = data("xattention");
    let tokens = data["tokens"].as_u64().expect("an integer") as usize;
    for (key, lists) in data["lists"].as_object().expect("lists by strides and shares") {
        let (stride, share) = key.split_once(',').expect("a stride and a share");
        let arguments =
            format!("block = 128, scorer = antidiagonal(stride = {stride}), budget = top_p({share})");
        same_lists_of(tokens, &arguments, &Golden::of(lists));
    }
}

#[test]
fn shares_of_means_are_those_of_xattention() {
    for (share, lists) in data("xattention")["shares_of_means"].as_object().expect("lists by their shares") {
        same_lists(&format!("scorer = mean_pool, budget = top_p({share})"), &Golden::of(lists));
    }
}
