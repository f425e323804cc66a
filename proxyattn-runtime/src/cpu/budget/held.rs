//! What the first blocks of an order hold of a head's mass.

use super::Seen;
use super::mass::Masses;
use crate::cpu::select;
use crate::memory::{copied, filled, room};
use crate::{Element, Result};
use proxyattn_codegen::Share;
use rayon::prelude::*;

/// Parts of a mass: shares are counted in whole ones, so that whether they reach a share depends neither on the order in which
/// they are added nor on how that share is rounded.
const PARTS: f64 = (1u64 << 48) as f64;

/// The parts of a head's mass that the first 1, 2, … blocks hold.
#[derive(Clone, Default)]
pub(super) struct Held(Vec<u64>);

impl Held {
    /// Of masses in the order in which they are counted.
    pub(super) fn of(masses: impl Iterator<Item = f64> + Clone) -> Result<Self> {
        let total: f64 = masses.clone().sum();
        let parts = |mass: f64| if total > 0.0 { (mass / total * PARTS) as u64 } else { 0 };
        let mut held = room("budgets", masses.size_hint().0)?;
        held.extend(masses.scan(0, |sum, mass| {
            *sum += parts(mass);
            Some(*sum)
        }));
        Ok(Self(held))
    }

    fn total(&self) -> u64 {
        self.0.last().copied().unwrap_or(0)
    }

    /// The fewest blocks that hold `gamma` of the whole: one, if there is no mass.
    pub(super) fn fewest(&self, gamma: Share) -> usize {
        let wanted = gamma.of_count(self.total());
        self.0.partition_point(|&held| held < wanted) + 1
    }

    /// The same of a share in steps of 2⁻³².
    pub(super) fn fewest_of_steps(&self, steps: u64) -> usize {
        let wanted = u128::from(steps) * u128::from(self.total());
        self.0.partition_point(|&held| u128::from(held) << 32 < wanted) + 1
    }
}

/// What the blocks of the last row hold for each head, by mass: `[batch · head]`.
pub(super) fn in_own_order(masses: &Masses) -> Result<Vec<Held>> {
    par_made(masses.heads(), |head| {
        let mut masses = copied("budgets", masses.of_head(head))?;
        masses.sort_unstable_by(|a, b| b.total_cmp(a));
        Held::of(masses.iter().copied())
    })
}

/// The same in the order in which the list of the head's group is filled.
pub(super) fn in_list_order<T: Element>(seen: &Seen<'_, T>, masses: &Masses) -> Result<Vec<Held>> {
    let rankings = list_orders(seen)?;
    par_made(masses.heads(), |head| {
        let (masses, ranking) = (masses.of_head(head), &rankings[head / seen.plan.heads_per_group()]);
        Held::of(ranking.iter().map(|&block| masses[block as usize]))
    })
}

/// The blocks of the last row in the order in which the list of each group is filled: `[batch · group]`.
pub(super) fn list_orders<T: Element>(seen: &Seen<'_, T>) -> Result<Vec<Vec<u32>>> {
    let (plan, geometry) = (seen.plan, seen.plan.geometry());
    let last = geometry.rows() - 1;
    par_made(plan.problem().batch * plan.groups(), |group| {
        select::ranking(&geometry, last, seen.scores.row(group, last))
    })
}

/// What is made of each index below `len`.
pub(super) fn par_made<R: Clone + Default + Send>(
    len: usize,
    make: impl Fn(usize) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let mut all = filled("budgets", len, R::default())?;
    all.par_iter_mut().enumerate().try_for_each(|(i, place)| {
        *place = make(i)?;
        Ok(())
    })?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(masses: &[f64]) -> Held {
        Held::of(masses.iter().copied()).unwrap()
    }

    #[test]
    fn a_budget_is_a_count() {
        let count = |gamma| held(&[0.6, 0.3, 0.05, 0.05]).fewest(Share::of(gamma));
        assert_eq!([0.5, 0.6, 0.61, 0.92, 1.0].map(count), [1, 1, 2, 3, 4]);
        // In an order that is not the masses' own.
        let count = |gamma| held(&[0.05, 0.3, 0.05, 0.6]).fewest(Share::of(gamma));
        assert_eq!([0.04, 0.06, 0.36, 0.41, 1.0].map(count), [1, 2, 3, 4, 4]);
        assert_eq!(held(&[0.0, 0.0]).fewest(Share::of(1.0)), 1);
    }

    #[test]
    fn equal_masses_are_counted_exactly() {
        for blocks in [10u32, 50, 100, 1000] {
            let held = held(&vec![64.0 / f64::from(blocks); blocks as usize]);
            for n in 1..=blocks {
                let gamma = Share::of(f64::from(n) / f64::from(blocks));
                assert_eq!(held.fewest(gamma), n as usize, "{n} of {blocks}");
            }
        }
    }

    #[test]
    fn steps_are_shares() {
        let held = held(&[0.5, 0.25, 0.25]);
        let steps = |share: f64| (share * (1u64 << 32) as f64) as u64;
        let counts = [0.0, 0.5, 0.75, 1.0].map(|share| held.fewest_of_steps(steps(share)));
        assert_eq!(counts, [1, 1, 2, 3]);
        assert_eq!([0.5, 0.75].map(|share| held.fewest_of_steps(steps(share) + 1)), [2, 3]);
    }
}
