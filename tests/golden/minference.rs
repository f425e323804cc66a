//! MInference (arXiv 2407.02490): `_build_block_index` of its block-sparse heads.
//!
//! By design, ours always visit the diagonal, and theirs only where its mean is among the best. Where it is not, ours have the
//! diagonal instead of the last of their blocks: their list of one block less, and the diagonal.

use crate::verify::{Golden, data, same_lists};

/// Lists of `count` blocks with the diagonal, of theirs of `count` and of one less.
fn with_the_diagonal(lists: &Golden, less: &Golden) -> Golden {
    let of_row = |row: usize, theirs: &[u32], less: &[u32]| {
        let own = row as u32;
        match theirs.contains(&own) {
            true => theirs.to_vec(),
            false => [less, &[own]].concat(),
        }
    };
    let of_head = |(theirs, less): (&Vec<Vec<u32>>, &Vec<Vec<u32>>)| {
        theirs.iter().zip(less).enumerate().map(|(row, (theirs, less))| of_row(row, theirs, less)).collect()
    };
    Golden(lists.0.iter().zip(&less.0).map(of_head).collect())
}

#[test]
fn lists_are_those_of_minference() {
    let data = data("minference");
    for count in [2, 5, 12] {
        let [theirs, less] = [count, count - 1].map(|n| Golden::of(&data["lists"][n.to_string()]));
        let lists = with_the_diagonal(&theirs, &less);
        assert!(count > 2 || lists != theirs, "the diagonal is among the best of every row");
        same_lists(&format!("scorer = mean_pool, budget = top_k(blocks = {count}), keep(sink = 0)"), &lists);
    }
}
