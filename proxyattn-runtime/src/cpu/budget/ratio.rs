//! A share of the blocks, the same for every head, or divided: then each head holds the same share of its mass, the largest that they can afford together.

use super::held::{Held, in_list_order};
use super::mass::Masses;
use super::{Contract, Seen, bounded};
use crate::memory::room;
use crate::{Element, Observer, Result};
use proxyattn_codegen::{Ratio, Share, Split, Weigh};

/// Steps of the share of the mass, from 0 to 1.
const STEPS: u64 = 1 << 32;

impl Contract for Ratio {
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, observer: &dyn Observer) -> Result<Vec<u32>> {
        match self.split {
            Split::Heads => {
                let measured = divide(seen, self, observer)?;
                bounded(seen.plan, |head, _| measured[head])
            }
            Split::None => bounded(seen.plan, |_, _| 0),
        }
    }
}

/// The count of each head on the last row of blocks: `[batch · head]`.
fn divide<T: Element>(seen: &Seen<'_, T>, ratio: &Ratio, observer: &dyn Observer) -> Result<Vec<usize>> {
    let masses = Masses::measure(seen, Weigh::Values, observer)?;
    let held = in_list_order(seen, &masses)?;
    let (heads, geometry) = (seen.plan.problem().heads, seen.plan.geometry());
    let visible = geometry.visible(geometry.rows() - 1);
    let floor = ratio.min_tokens.div_ceil(seen.plan.spec().block.kv) as usize;
    let bounds = (floor.min(visible), visible);
    let total = heads as u64 * Share::of(ratio.share).of_count(visible as u64);
    let mut counts = room("budgets", held.len())?;
    counts.extend(held.chunks(heads).flat_map(|heads| within(total, bounds, heads)));
    Ok(counts)
}

/// The counts of a sequence's heads: those of the largest share of the mass at which they add up to no more than `total`.
fn within(total: u64, (floor, visible): (usize, usize), heads: &[Held]) -> impl Iterator<Item = usize> {
    let count = move |held: &Held, steps| held.fewest_of_steps(steps).clamp(floor, visible);
    let fits = |steps| heads.iter().map(|held| count(held, steps) as u64).sum::<u64>() <= total;
    // No count falls as the share grows: `steps` is the largest that fits, or 0.
    let (mut steps, mut beyond) = (0, STEPS + 1);
    while beyond - steps > 1 {
        let middle = steps + (beyond - steps) / 2;
        match fits(middle) {
            true => steps = middle,
            false => beyond = middle,
        }
    }
    heads.iter().map(move |held| count(held, steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_divide_what_they_have_together() {
        let even = || Held::of([0.25, 0.25, 0.25, 0.25].into_iter()).unwrap();
        let steep = || Held::of([0.7, 0.1, 0.1, 0.1].into_iter()).unwrap();
        let nothing = || Held::of([0.0; 4].into_iter()).unwrap();
        let counts = |total, floor, heads: &[Held]| within(total, (floor, 4), heads).collect::<Vec<_>>();
        assert_eq!(counts(4, 1, &[even(), steep()]), [3, 1]);
        assert_eq!(counts(5, 1, &[even(), steep()]), [3, 2]);
        assert_eq!(counts(8, 1, &[even(), steep()]), [4, 4]);
        // The floors alone exceed the total; they fill it.
        assert_eq!(counts(3, 2, &[even(), steep()]), [2, 2]);
        assert_eq!(counts(4, 2, &[even(), steep()]), [2, 2]);
        // Where two heads need a block at once and there is one left, none has it.
        assert_eq!(counts(3, 1, &[even(), even()]), [1, 1]);
        // What has no mass needs no more than one.
        assert_eq!(counts(4, 1, &[nothing(), steep()]), [1, 3]);
    }
}
