//! How `proxy` is spelled.

use super::Proxy;
use crate::Key;
use crate::syntax::Part;

kind! {
    Key::Scorer, Proxy, "proxy", like "proxy";
    parts {
        sums: Part::like("maxima"),
        scores: Part::like("e4m3"),
        pool: Part::like("sum").implied("max"),
    }
    rules |proxy, spec| {}
}
