//! Whether measured counts are what the masses say, in an order in which near ties may be swapped.

use super::{Agreement, Lists, Ties};
use crate::Oracle;
use crate::budget::Reach;
use crate::budget::ratio::Total;
use proxyattn_codegen::Order;

/// How far the share of the mass at the boundary may be from γ.
const MASS: f64 = 1e-5;

/// The counts of every head of a sequence.
pub(super) fn compare(oracle: &Oracle, given: &dyn Lists, batch: usize, ties: &Ties, into: &mut Agreement) {
    let measured = oracle.measured(batch);
    let heads = 0..oracle.heads;
    let differing = |head, measured| {
        (0..oracle.rows()).find(|&row| given.count(batch, head, row) != oracle.count(measured, row))
    };
    let differ: Vec<Option<usize>> = heads.clone().map(|head| differing(head, measured[head])).collect();
    if differ.iter().all(Option::is_none) {
        return;
    }
    let mut fault = |head: usize, row: usize, why: &str| {
        let (got, expected) = (given.count(batch, head, row), oracle.count(measured[head], row));
        into.faults
            .push(format!("batch {batch} head {head} row {row}: {got} blocks instead of {expected}{why}"));
    };
    let Some(measure) = oracle.measure_of_budget() else {
        heads.for_each(|head| differ[head].into_iter().for_each(|row| fault(head, row, "")));
        return;
    };
    let held = |head| Held::of(oracle, batch, head, measure.order, ties);
    // The counts of the last row that explain those of every row.
    let explains = |head| (1..=oracle.blocks()).filter(move |&count| differing(head, count).is_none());
    match measure.reach {
        Reach::Gamma(gamma) => {
            for head in heads {
                let Some(row) = differ[head] else { continue };
                let held = held(head);
                match explains(head).any(|count| held.reaches(count, gamma)) {
                    true => into.recounted += 1,
                    false => fault(head, row, &format!(" (mass says {})", measured[head])),
                }
            }
        }
        Reach::Total(total) => {
            let held: Vec<Held> = heads.clone().map(held).collect();
            let counts: Vec<Vec<usize>> = heads.clone().map(|head| explains(head).collect()).collect();
            match divides(&total, &held, &counts) {
                Ok(()) => into.recounted += differ.iter().flatten().count(),
                Err(why) => heads.for_each(|head| {
                    differ[head].into_iter().for_each(|row| fault(head, row, &format!(" ({why})")));
                }),
            }
        }
    }
}

/// Whether one share of the mass, which is the largest that the total affords, gives each head one of `counts`.
fn divides(total: &Total, held: &[Held], counts: &[Vec<usize>]) -> Result<(), String> {
    if let Some(head) = counts.iter().position(Vec::is_empty) {
        return Err(format!("no count of the last row explains head {head}"));
    }
    let floor = total.floor.clamp(1, total.visible);
    // Every count below the floor explains as much as the floor.
    let sum: usize = counts.iter().map(|counts| counts[0].max(floor)).sum();
    let least: usize = held.iter().map(|held| total.count(&held.most, 0.0)).sum();
    if sum > total.blocks.max(least) {
        return Err(format!("{sum} blocks of a total of {}", total.blocks));
    }
    let mut low = total.gamma(held.iter().map(|held| held.least.as_slice())) - MASS;
    let mut high = total.gamma(held.iter().map(|held| held.most.as_slice())) + MASS;
    for (held, counts) in held.iter().zip(counts) {
        let (fewest, most) = (counts[0], counts[counts.len() - 1]);
        if most < floor || fewest > total.visible {
            return Err(format!("{fewest}..={most} blocks are not within {floor}..={}", total.visible));
        }
        if most < total.visible {
            high = high.min(held.most[most - 1] + MASS);
        }
        if fewest > floor {
            low = low.max(held.least[fewest - 2] - MASS);
        }
    }
    match low <= high {
        true => Ok(()),
        false => Err(format!("no share of the mass is both above {low} and below {high}")),
    }
}

/// The least and the most that the first 1, 2, … blocks hold, over all orders that differ from the reference's in near ties
/// alone.
struct Held {
    least: Vec<f64>,
    most: Vec<f64>,
}

impl Held {
    fn of(oracle: &Oracle, batch: usize, head: usize, order: Order, ties: &Ties) -> Self {
        let ranking = oracle.order(batch, head);
        let exact = oracle.held(batch, head, &ranking);
        match order {
            // Masses that tie are as good as each other.
            Order::Own => Self { least: exact.clone(), most: exact },
            Order::List => {
                let (row, group) = (oracle.rows() - 1, head / (oracle.heads / oracle.groups));
                let scores = oracle.row_scores(batch, group, row);
                let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let tie = |a: usize, b: usize| {
                    ![a, b].iter().any(|&block| oracle.is_pinned(row, block))
                        && ties.excuse(scores[a], scores[b], best)
                };
                Self::within(&ranking, exact, oracle.masses(batch, head), tie)
            }
        }
    }

    /// In an order that is allowed, all blocks that a missing one of the first c lies behind are among them, and what is among
    /// them from behind it ties with it. So for each block, what lies before it and any of those that tie with it.
    fn within(
        ranking: &[usize],
        exact: Vec<f64>,
        masses: &[f64],
        tie: impl Fn(usize, usize) -> bool,
    ) -> Self {
        let (mut least, mut most) = (exact.clone(), exact.clone());
        if masses.iter().all(|&mass| mass == 0.0) {
            return Self { least, most };
        }
        for (i, &first) in ranking.iter().enumerate() {
            let tied = ranking[i..].iter().take_while(|&&block| tie(first, block));
            let mut parts: Vec<f64> = tied.map(|&block| masses[block]).collect();
            parts.sort_by(f64::total_cmp);
            let before = if i == 0 { 0.0 } else { exact[i - 1] };
            let (mut low, mut high) = (before, before);
            for (k, (small, large)) in parts.iter().zip(parts.iter().rev()).enumerate() {
                (low, high) = (low + small, high + large);
                least[i + k] = least[i + k].min(low);
                most[i + k] = most[i + k].max(high);
            }
        }
        Self { least, most }
    }

    /// Whether `count` may be the fewest blocks that hold `gamma`.
    fn reaches(&self, count: usize, gamma: f64) -> bool {
        self.most[count - 1] >= gamma - MASS && (count == 1 || self.least[count - 2] < gamma + MASS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks 1, 2 and 3 tie in pairs of neighbours.
    fn held() -> Held {
        let masses = [0.4, 0.05, 0.3, 0.1, 0.15];
        let exact = vec![0.4, 0.45, 0.75, 0.85, 1.0];
        let tie = |a: usize, b: usize| a == b || (a.min(b) >= 1 && a.max(b) <= 3 && a.abs_diff(b) == 1);
        Held::within(&[0, 1, 2, 3, 4], exact, &masses, tie)
    }

    #[test]
    fn only_ties_are_swapped() {
        let held = held();
        let near = |a: &[f64], b: [f64; 5]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        // Second may be block 2; third, block 3 in the place of block 2.
        assert!(near(&held.least, [0.4, 0.45, 0.55, 0.85, 1.0]), "{:?}", held.least);
        assert!(near(&held.most, [0.4, 0.7, 0.75, 0.85, 1.0]), "{:?}", held.most);
        let counts = |gamma| (1..=5).filter(|&count| held.reaches(count, gamma)).collect::<Vec<_>>();
        assert_eq!(
            [0.3, 0.5, 0.6, 0.8, 0.9, 1.0].map(counts),
            [vec![1], vec![2, 3], vec![2, 3, 4], vec![4], vec![5], vec![5]]
        );
    }

    #[test]
    fn a_share_of_the_mass_gives_all_heads_their_counts() {
        let head = |held: [f64; 4]| Held { least: held.to_vec(), most: held.to_vec() };
        let held = [head([0.25, 0.5, 0.75, 1.0]), head([0.7, 0.8, 0.9, 1.0])];
        let total = Total { blocks: 5, floor: 1, visible: 4 };
        let divides = |counts: [usize; 2]| divides(&total, &held, &counts.map(|count| vec![count])).is_ok();
        assert!(divides([3, 2]));
        assert!(![[2, 2], [2, 3], [4, 1], [3, 1], [3, 3], [1, 1]].into_iter().any(divides));
        // Whatever was measured below the floor, the floor is what a head has: with three for the other, one too many.
        let bounded = Total { blocks: 4, floor: 2, visible: 4 };
        let divides_bounded =
            |first: &[usize]| super::divides(&bounded, &held, &[first.to_vec(), vec![1, 2]]).is_ok();
        assert!(divides_bounded(&[1, 2]) && !divides_bounded(&[3]));
        // What a near tie allows: the second head's first block may hold as much as 0.8.
        let first = Held { most: vec![0.8, 0.8, 0.9, 1.0], ..head([0.7, 0.8, 0.9, 1.0]) };
        let loose = [head([0.25, 0.5, 0.75, 1.0]), first];
        let divides =
            |counts: [usize; 2]| super::divides(&total, &loose, &counts.map(|count| vec![count])).is_ok();
        assert_eq!([[4, 1], [3, 2], [2, 2], [4, 2]].map(divides), [true, true, false, false]);
    }
}
