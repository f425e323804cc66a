//! How `vertical_slash` is spelled, and what its parts may be.

use super::VerticalSlash;
use crate::syntax::{Part, Wrong};
use crate::{Key, Spec};

kind! {
    Key::Scorer, VerticalSlash, "vertical_slash", like "vertical_slash(last = 64)";
    parts {
        last: Part::like("64"),
    }
    rules |of, spec| {
        last: is_tile(of.last), else not_a_tile(of.last),
        last: !is_tile(of.last) || fills_blocks(of.last, spec), else fills_no_blocks(of.last, spec),
    }
}

/// Whether kernels exist for so many queries.
const fn is_tile(last: u32) -> bool {
    matches!(last, 32 | 64 | 128)
}

/// Whether any so many queries stand at every place of a block, and at each equally often.
const fn fills_blocks(last: u32, spec: &Spec) -> bool {
    last.is_multiple_of(spec.block.q) && last.is_multiple_of(spec.block.kv)
}

fn not_a_tile(last: u32) -> Wrong {
    Wrong::alone(format!("`vertical_slash(last)` must be 32, 64 or 128 queries, not {last}"), None)
}

fn fills_no_blocks(last: u32, spec: &Spec) -> Wrong {
    let block = spec.block;
    let message = format!(
        "`vertical_slash(last = {last})` must be a multiple of `block(q)` = {} and `block(kv)` = {}, so that the last \
         queries stand at every place of a block",
        block.q, block.kv
    );
    let least = block.q.max(block.kv);
    let help = is_tile(least).then(|| format!("write vertical_slash(last = {least})"));
    Wrong::beside(message, help)
}
