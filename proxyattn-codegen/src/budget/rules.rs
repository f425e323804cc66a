//! Rules that several budgets have.

use crate::Block;
use crate::spec::MAX_COUNT;
use crate::syntax::Wrong;

/// Whether a floor of `min_tokens` is at least one block, and within bounds.
pub(super) const fn min_tokens_hold(min_tokens: u32, block: Block) -> bool {
    min_tokens >= block.kv && min_tokens / MAX_COUNT < block.kv
}

pub(super) fn bad_min_tokens(min_tokens: u32, block: Block) -> Wrong {
    let block = block.kv;
    let (expected, help) = if min_tokens < block {
        (format!("cover at least one key block of {block} tokens"), Some(format!("the minimum is {block}")))
    } else {
        (format!("be below {MAX_COUNT} blocks of {block} tokens"), None)
    };
    Wrong::beside(format!("`min_tokens` must {expected}, not {min_tokens}"), help)
}

/// A share that lies outside of (0, 1], such as one in percent, or that is too small. `what` it is begins the message, and
/// `written` spells one.
pub(super) fn not_a_share(what: &str, share: f64, written: impl Fn(f64) -> String) -> Wrong {
    let help = if 0.0 < share && share < 1.0 {
        Some(format!("shares are rounded to millionths; the minimum is {}", written(1e-6)))
    } else {
        (1.0 < share && share <= 100.0).then(|| format!("for {share}%, write {}", written(share / 100.0)))
    };
    Wrong::alone(format!("{what}, in (0, 1], not {share}"), help)
}
