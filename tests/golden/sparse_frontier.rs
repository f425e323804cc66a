//! The Sparse Frontier (arXiv 2504.17768): `_build_block_index`, and the formula of its densities.
//!
//! Its block-sparse method takes the best blocks by means, and always the first block, the diagonal and the block before it:
//! `keep(sink = 1, local = 1)`. Nothing differs.

use crate::inputs::TOKENS;
use crate::verify::{Golden, data, same_lists, spec, trace};
use proxyattn_oracle::Grid;

fn arguments(count: &str) -> String {
    format!("scorer = mean_pool, budget = top_k(blocks = {count}), keep(sink = 1, local = 1)")
}

#[test]
fn lists_are_those_of_the_sparse_frontier() {
    for (count, lists) in data("sparse_frontier")["lists"].as_object().expect("lists by their counts") {
        same_lists(&arguments(count), &Golden::of(lists));
    }
}

#[test]
fn densities_are_those_of_the_sparse_frontier() {
    let data = data("sparse_frontier");
    for case in data["sparsity"].as_array().expect("cases") {
        let [tokens, block, count] = [0, 1, 2].map(|i| case[i].as_u64().expect("an integer") as usize);
        let expected = 1.0 - case[3].as_f64().expect("a number");
        let spec = spec(&format!("block = {block}, {}", arguments(&count.to_string())));
        let grid = Grid::new(&spec, [1, 1, 1, tokens, tokens]);
        let tiles = |most: usize| (0..grid.rows()).map(|row| grid.visible(row).min(most)).sum::<usize>();
        let density = tiles(count) as f64 / tiles(usize::MAX) as f64;
        assert!((density - expected).abs() < 1e-12, "{case}: {density}");
        if tokens == TOKENS {
            let traced = trace(&spec, TOKENS).selection.density();
            assert!((traced - expected).abs() < 1e-12, "{case}: the CPU's is {traced}");
        }
    }
}
