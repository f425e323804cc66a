//! Dynamic budgets: how many blocks hold γ of the softmax mass of a head's own last queries.
//!
//! ProxyAttn (arXiv 2509.24745), Algorithm 1: the budget is the fewest blocks whose mass reaches γ. Blocks are counted by mass
//! there; in the order in which the list is filled, what is kept holds γ.

use super::held::{in_list_order, in_own_order};
use super::mass::Masses;
use super::{Contract, Seen, bounded};
use crate::{Element, Observer, Result};
use proxyattn_codegen::{Dynamic, Order, Share};

impl Contract for Dynamic {
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, observer: &dyn Observer) -> Result<Vec<u32>> {
        let masses = Masses::measure(seen, self.weigh, observer)?;
        let held = match self.order {
            Order::List => in_list_order(seen, &masses)?,
            Order::Own => in_own_order(&masses)?,
        };
        let gamma = Share::of(self.gamma);
        bounded(seen.plan, |head, _| held[head].fewest(gamma))
    }
}
