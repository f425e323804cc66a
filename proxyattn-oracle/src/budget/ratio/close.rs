//! Whether counts divide a total as well as the reference's, in orders in which near ties may be swapped.

use super::Total;
use crate::budget::held::{Held, MASS};

/// Whether one share of the mass, which is the largest that the total affords, gives each head one of `counts`.
pub(super) fn divides(total: &Total, held: &[Held], counts: &[Vec<usize>]) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
