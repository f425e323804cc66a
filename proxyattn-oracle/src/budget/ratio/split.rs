//! `ratio(split = heads)`: one share of the mass for all heads of a sequence, the largest that they can afford together.

/// What the heads of a sequence divide in the last row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Total {
    /// Blocks of all heads together.
    pub(super) blocks: usize,
    /// Blocks below which no head falls.
    pub(super) floor: usize,
    /// Blocks of the row.
    pub(super) visible: usize,
}

/// Steps of γ from 0 to 1.
const STEPS: u64 = 1 << 32;

impl Total {
    /// Blocks of a head at a share `gamma` of its mass, of the shares that its first 1, 2, … blocks hold.
    pub(super) fn count(&self, held: &[f64], gamma: f64) -> usize {
        let lacking = held.iter().filter(|&&share| share < gamma).count();
        (1 + lacking).max(self.floor).min(self.visible)
    }

    /// The largest share of their mass at which the counts of all heads stay within the total; 0 if none does.
    pub(super) fn gamma<'a>(&self, heads: impl Iterator<Item = &'a [f64]> + Clone) -> f64 {
        let share = |step: u64| step as f64 / STEPS as f64;
        let fits =
            |step: u64| heads.clone().map(|held| self.count(held, share(step))).sum::<usize>() <= self.blocks;
        // `low` fits, or is 0; what lies above `high` does not.
        let (mut low, mut high) = (0, STEPS);
        while low < high {
            let middle = (low + high).div_ceil(2);
            match fits(middle) {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        share(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_divide_the_total_by_what_they_lack() {
        let (even, steep) = ([0.25, 0.5, 0.75, 1.0].as_slice(), [0.7, 0.8, 0.9, 1.0].as_slice());
        let divided = |blocks, floor| {
            let total = Total { blocks, floor, visible: 4 };
            let gamma = total.gamma([even, steep].into_iter());
            (gamma, [even, steep].map(|held| total.count(held, gamma)))
        };
        let on_grid = |gamma: f64| (gamma * STEPS as f64).floor() / STEPS as f64;
        assert_eq!(divided(4, 0), (on_grid(0.7), [3, 1]));
        assert_eq!(divided(5, 0), (0.75, [3, 2]));
        assert_eq!(divided(8, 0), (1.0, [4, 4]));
        assert_eq!(divided(3, 2), (0.0, [2, 2]), "the floors alone exceed it");
        assert_eq!(divided(4, 2), (0.5, [2, 2]));
    }
}
