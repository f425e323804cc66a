//! How many blocks the default budget visits when lists are shared.

use crate::{input::Input, stats::mean};
use kit::mass::BlockMass;
use proxyattn::codegen::{Budget, Dynamic, Spec, Weigh};

/// The budget of the attribute's default, but for the weights: the values of a layer are not among the report's inputs.
pub(crate) const BUDGET: Dynamic = match Spec::DEFAULT.budget {
    Budget::Dynamic(dynamic) => Dynamic { weigh: Weigh::None, ..dynamic },
    _ => {
        panic!("what a list costs is defined for budgets that count the blocks that hold a share of the mass")
    }
};

/// What the default budget visits of the blocks when lists are shared: in each row, the first blocks in the order of the
/// proxy that hold `gamma` of the head's mass, and at least `min_tokens` worth of blocks. Where the order is bad for a head,
/// its list is longer.
///
/// Every row is counted by its own mass; kernels count the last one and carry its share over to the others. Keys are not
/// weighed by the norms of their values, which are not among the report's inputs.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Visited {
    /// Proxies: a divisor of the KV heads.
    pub groups: usize,
    /// Share of the visible blocks, averaged over rows and heads.
    pub share: f64,
    /// The same of each head, averaged over rows.
    pub heads: Vec<f64>,
}

impl Visited {
    /// `orders` are the visible blocks of each row in the order of each proxy, `[group][row]`.
    pub(crate) fn measure<T: Copy + Into<f32>>(
        input: &Input<'_, T>,
        mass: &BlockMass,
        orders: &[Vec<Vec<u32>>],
    ) -> Self {
        let groups = orders.len();
        let of_row = |head: usize, i: usize| {
            let order = &orders[head * groups / input.heads][i];
            let held = order.iter().map(|&block| f64::from(mass.row(head, i)[block as usize]));
            // The bounds alone: nothing was counted.
            let least = input.geometry.count(&Budget::Dynamic(BUDGET), 0, mass.rows()[i]);
            fewest(held, BUDGET.gamma).max(least) as f64 / order.len() as f64
        };
        let of_head = |head| mean((0..mass.rows().len()).map(|i| of_row(head, i)));
        let heads: Vec<f64> = (0..input.heads).map(of_head).collect();
        Self { groups, share: mean(heads.iter().copied()), heads }
    }

    /// Whether lists are at most `growth` longer than with one proxy per KV head.
    pub(crate) fn is_near(&self, per_kv_head: &Visited, growth: f64) -> bool {
        self.share <= (1.0 + growth) * per_kv_head.share
    }
}

/// The smallest count at which the first values hold a share `gamma` of their sum.
fn fewest(held: impl Iterator<Item = f64> + Clone, gamma: f64) -> usize {
    let wanted = gamma * held.clone().sum::<f64>();
    let sums = held.scan(0.0, |sum, value| {
        *sum += value;
        Some(*sum)
    });
    1 + sums.take_while(|sum| *sum < wanted).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_in_their_order_until_they_hold_enough() {
        let count = |held: &[f64], gamma| fewest(held.iter().copied(), gamma);
        assert_eq!(count(&[0.5, 0.25, 0.125, 0.125], 0.5), 1, "equal is enough");
        assert_eq!(count(&[0.5, 0.25, 0.125, 0.125], 0.6), 2);
        assert_eq!(count(&[0.125, 0.125, 0.25, 0.5], 0.6), 4, "in their order, not the largest first");
        assert_eq!(count(&[2.0, 1.0, 1.0], 0.75), 2, "shares of their sum");
        assert_eq!(count(&[0.1; 10], 1.0), 10);
    }

    #[test]
    fn a_share_that_grows_by_the_bound_is_near() {
        let visited = |share| Visited { groups: 1, share, heads: vec![share] };
        assert!(visited(0.25).is_near(&visited(0.25), 0.0));
        assert!(visited(0.375).is_near(&visited(0.25), 0.5));
        assert!(!visited(0.3751).is_near(&visited(0.25), 0.5));
    }
}
