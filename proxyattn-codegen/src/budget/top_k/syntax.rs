//! How `top_k` is spelled, and what its part may be.

use super::TopK;
use crate::spec::MAX_COUNT;
use crate::syntax::{Part, Wrong};
use crate::{Key, Spec};

kind! {
    Key::Budget, TopK, "top_k", like "top_k(blocks = 64)";
    parts {
        blocks: Part::like("64").needed("the number of blocks"),
    }
    rules |top_k, spec| {
        blocks: top_k.blocks as u64 >= spec.pinned_blocks(), else no_room(top_k.blocks, spec),
        blocks: top_k.blocks <= MAX_COUNT, else Wrong::alone(
            format!("`top_k(blocks)` must be at most {MAX_COUNT}, not {}", top_k.blocks), None
        ),
    }
}

fn no_room(blocks: u32, spec: &Spec) -> Wrong {
    let (pinned, keep) = (spec.pinned_blocks(), spec.keep);
    let message = format!(
        "`top_k(blocks = {blocks})` has no room for the {pinned} blocks that are always kept (sink {}, local {}, and \
         the diagonal)",
        keep.sink, keep.local
    );
    Wrong::beside(message, Some(format!("use at least {pinned} blocks, or keep fewer")))
}
