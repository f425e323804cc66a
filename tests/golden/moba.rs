//! `MoBA` (arXiv 2502.13189): the gate of `moba_attn_varlen_naive`.
//!
//! `MoBA` chooses chunks for each query, ours for each row of queries: the gate was given the mean query of each row in place of
//! its queries, so that all of them choose alike. It always has the chunk of the query itself, as one of its chunks, and no
//! sink.

use crate::verify::{Golden, data, same_lists};

#[test]
fn lists_are_those_of_moba() {
    for (count, lists) in data("moba")["lists"].as_object().expect("lists by their counts") {
        let arguments = format!("scorer = mean_pool, budget = top_k(blocks = {count}), keep(sink = 0)");
        same_lists(&arguments, &Golden::of(lists));
    }
}
