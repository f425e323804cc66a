//! Dynamic budgets: how many blocks hold γ of the softmax mass of a head's own last queries.
//!
//! ProxyAttn (arXiv 2509.24745), Algorithm 1: the budget is the fewest blocks whose mass reaches γ. Blocks are counted by mass
//! there; in the order in which the list is filled, what is kept holds γ.

use super::Seen;
use super::held::{in_list_order, in_own_order};
use super::mass::Masses;
use crate::memory::room;
use crate::{Element, Observer, Result};
use proxyattn_codegen::{Dynamic, Order, Share};

/// The budget of each head on the last row of blocks: `[batch · head]`.
pub(super) fn measure<T: Element>(
    seen: &Seen<'_, T>,
    dynamic: &Dynamic,
    observer: &dyn Observer,
) -> Result<Vec<usize>> {
    let masses = Masses::measure(seen, dynamic.weigh, observer)?;
    let held = match dynamic.order {
        Order::List => in_list_order(seen, &masses)?,
        Order::Own => in_own_order(&masses)?,
    };
    let gamma = Share::of(dynamic.gamma);
    let mut counts = room("budgets", held.len())?;
    counts.extend(held.iter().map(|held| held.fewest(gamma)));
    Ok(counts)
}
