//! How `ratio` is spelled, and what its parts may be.

use super::{Ratio, Split};
use crate::budget::rules;
use crate::syntax::Part;
use crate::{Key, Share};

kind! {
    Key::Budget, Ratio, "ratio", like "ratio(0.1)";
    parts {
        share: Part::like("0.1").needed("the share of blocks").unnamed(),
        split: Part::like("heads").implied("none"),
        min_tokens: Part::like("512").only_with("split", "heads"),
    }
    rules |ratio, spec| {
        share: Share::is_valid(ratio.share), else rules::not_a_share(
            "`ratio` is a share of a row's blocks", ratio.share, |share| format!("ratio({share})")
        ),
        min_tokens: matches!(ratio.split, Split::None) || rules::min_tokens_hold(ratio.min_tokens, spec.block),
            else rules::bad_min_tokens(ratio.min_tokens, spec.block),
    }
}
