//! `XAttention` (arXiv 2503.16428): the rule of `find_blocks_chunked`.
//!
//! The rule takes the first block and the diagonal, and then the best of the others until they hold the share. On weights of
//! ours, the softmax of products of means over the blocks that a row sees, it chooses what `top_p` does. The code was given
//! each row as a chunk of its own: in the first chunk of a call it forgets the first block, and counts one more instead.

use crate::verify::{Golden, data, same_lists};

#[test]
fn shares_of_means_are_those_of_xattention() {
    for (share, lists) in data("xattention")["shares_of_means"].as_object().expect("lists by their shares") {
        same_lists(&format!("scorer = mean_pool, budget = top_p({share})"), &Golden::of(lists));
    }
}
