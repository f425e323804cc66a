//! Shares of a mass in an order in which near ties may be swapped.

use super::Given;
use super::mass::{Measure, held};
use crate::compare::Ties;
use crate::{Oracle, Scores};
use proxyattn_codegen::Order;

/// How far the share of the mass at the boundary may be from what is wanted.
pub(super) const MASS: f64 = 1e-5;

/// The least and the most that the first 1, 2, … blocks hold, over all orders that differ from the reference's in near ties
/// alone.
pub(super) struct Held {
    pub(super) least: Vec<f64>,
    pub(super) most: Vec<f64>,
}

impl Held {
    /// Of the masses of a head on the last row.
    pub(super) fn of(given: &Given<'_>, head: usize, measure: Measure) -> Self {
        let (oracle, batch, row) = (given.oracle, given.batch, given.oracle.rows() - 1);
        let ranking = measure.order(oracle, batch, head);
        let masses = measure.masses(oracle, batch, head);
        match measure.order {
            // Masses that tie are as good as each other.
            Order::Own => {
                let exact = held(masses, &ranking);
                Self { least: exact.clone(), most: exact }
            }
            Order::List => {
                let scores = oracle.row_scores(batch, head / (oracle.heads / oracle.groups), row);
                Self::ranked(oracle, row, &ranking, (scores, given.ties), masses)
            }
        }
    }

    /// Of masses in the order of a row's list.
    pub(super) fn ranked(
        oracle: &Oracle,
        row: usize,
        ranking: &[usize],
        (scores, ties): (&Scores, &Ties),
        masses: &[f64],
    ) -> Self {
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let tie = |a: usize, b: usize| {
            ![a, b].iter().any(|&block| oracle.is_pinned(row, block))
                && ties.excuse(scores[a], scores[b], best)
        };
        Self::within(ranking, held(masses, ranking), masses, tie)
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
    pub(super) fn reaches(&self, count: usize, gamma: f64) -> bool {
        self.reaches_within(count, gamma, MASS)
    }

    /// The same where shares may be farther from the reference's.
    pub(super) fn reaches_within(&self, count: usize, gamma: f64, slack: f64) -> bool {
        self.most[count - 1] >= gamma - slack && (count == 1 || self.least[count - 2] < gamma + slack)
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
}
