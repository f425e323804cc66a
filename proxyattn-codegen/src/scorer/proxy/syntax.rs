//! How `proxy` is spelled.

use super::{Precision, Proxy, Sums};
use crate::Key;
use crate::syntax::{Part, Wrong};

kind! {
    Key::Scorer, Proxy, "proxy", like "proxy";
    parts {
        sums: Part::like("maxima"),
        scores: Part::like("e4m3"),
    }
    rules |proxy, spec| {
        scores: matches!(proxy.scores, Precision::Native) || matches!(proxy.sums, Sums::Maxima),
            else Wrong::beside(
                "`scores = e4m3` goes with `sums = maxima`: blocks of keys have powers of two of their own, and a sum over all \
                 keys would have to know each key's".to_owned(),
                Some("write `proxy(sums = maxima, scores = e4m3)`".to_owned()),
            ),
    }
}
