//! How `dynamic` is spelled, and what its parts may be.

use super::Dynamic;
use crate::budget::rules;
use crate::syntax::Part;
use crate::{Key, Share};

kind! {
    Key::Budget, Dynamic, "dynamic", like "dynamic(gamma = 0.9)";
    parts {
        gamma: Part::like("0.9"),
        min_tokens: Part::like("512"),
        rows: Part::like("ratio"),
        order: Part::like("list"),
        weigh: Part::like("values"),
    }
    rules |dynamic, spec| {
        gamma: Share::is_valid(dynamic.gamma), else rules::not_a_share(
            "`gamma` is a share of the softmax mass", dynamic.gamma, |share| share.to_string()
        ),
        min_tokens: rules::min_tokens_hold(dynamic.min_tokens, spec.block),
            else rules::bad_min_tokens(dynamic.min_tokens, spec.block),
    }
}
