//! The buffers of a measured budget: norms, partials, masses and counts.

use crate::buffers::Buffers;
use core::f64::consts::LN_2;
use proxyattn::codegen::cuda::Scratch;
use proxyattn::codegen::{Budget, Dynamic, Order, Ratio, Share, Split, Weigh};
use proxyattn_oracle::{Oracle, Total, fewest};

/// The mass of all blocks of a head, as the kernels count it.
const WHOLE: f64 = (1u64 << 31) as f64;

impl Buffers<'_> {
    /// The buffers of the budget, if it is measured.
    pub(crate) fn budget(&self, oracle: &Oracle) {
        match self.spec.budget {
            Budget::Dynamic(Dynamic { gamma, order, weigh, .. }) => {
                self.mass(oracle, weigh);
                self.near_counts(oracle, gamma, order);
            }
            Budget::Ratio(ratio @ Ratio { split: Split::Heads, .. }) => {
                self.mass(oracle, Weigh::Values);
                self.near_parts(oracle, ratio);
            }
            Budget::Ratio(Ratio { split: Split::None, .. }) | Budget::TopK(_) | Budget::All => {}
        }
        self.counted();
    }

    /// What a measured budget makes of masses.
    pub(crate) fn counted(&self) {
        match self.spec.budget {
            Budget::Dynamic(Dynamic { gamma, order, .. }) => self.exact_counts(gamma, order),
            Budget::Ratio(ratio @ Ratio { split: Split::Heads, .. }) => self.exact_parts(ratio),
            Budget::Ratio(Ratio { split: Split::None, .. }) | Budget::TopK(_) | Budget::All => {}
        }
    }

    /// Norms, each (query, block)'s share of the sums, and the share of the mass that each block holds.
    fn mass(&self, oracle: &Oracle, weigh: Weigh) {
        assert_eq!(self.memory.has(Scratch::Norms), weigh == Weigh::Values);
        if weigh == Weigh::Values {
            let kv_heads = (self.shape.batch * self.shape.kv_heads) as usize;
            let want: Vec<f64> = (0..kv_heads).flat_map(|kv_head| oracle.value_norms(kv_head)).collect();
            let got = self.memory.floats(Scratch::Norms);
            assert_eq!(got.len(), want.len(), "norms");
            for (i, (&got, want)) in got.iter().zip(want).enumerate() {
                assert!((f64::from(got) - want).abs() <= 1e-6 * want, "norm {i}: {got}, not {want}");
            }
        }
        let masses = self.memory.words(Scratch::Masses);
        for (batch, head) in self.all_heads() {
            let sums = |token| oracle.block_sums(batch, head, token);
            self.partials(Scratch::PartialSum, [batch, head], sums);
            if weigh == Weigh::Values {
                let sums = |token| oracle.weighed_sums(batch, head, token);
                self.partials(Scratch::PartialWeighted, [batch, head], sums);
            }
            let want = oracle.masses(batch, head);
            let got = &masses[(batch * self.grid.heads() + head) * want.len()..][..want.len()];
            for (block, (&got, want)) in got.iter().zip(want).enumerate() {
                let got = f64::from(got) / WHOLE;
                assert!(
                    (got - want).abs() < 5e-4 * want + 1e-6,
                    "mass {batch}/{head}/{block}: {got}, not {want}"
                );
            }
        }
    }

    /// Partial sums under `partial_max`, of a head.
    fn partials(&self, buffer: Scratch, [batch, head]: [usize; 2], want: impl Fn(usize) -> Vec<f64>) {
        let (maxima, under) = (self.memory.floats(Scratch::PartialMax), self.memory.floats(buffer));
        for (i, token) in self.grid.last_queries().enumerate() {
            let sums = want(token);
            let highest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total = highest + sums.iter().map(|sum| (sum - highest).exp()).sum::<f64>().ln();
            // What weighs nothing beside the whole may be any little.
            let nothing = total / LN_2 - 60.0;
            for (block, sum) in sums.iter().enumerate() {
                let flat = batch * self.grid.heads() + head;
                let at = (flat * sums.len() + block) * self.spec.block.q as usize + i;
                let (max, under) = (f64::from(maxima[at]), f64::from(under[at]));
                let (got, want) = (max + under.log2(), sum / LN_2);
                assert!(
                    got == want || (got - want).abs() < 2e-4 * (1.0 + want.abs()) || got.max(want) < nothing,
                    "{buffer} {batch}/{head}/{i}/{block}: {got}, not {want}"
                );
            }
        }
    }

    /// The order in which the blocks of a head are counted, by what the kernels before have left.
    fn order(&self, order: Order, [batch, head]: [usize; 2]) -> Vec<usize> {
        match order {
            Order::List => {
                let groups = self.grid.groups();
                let sequence = batch * groups + head / (self.grid.heads() / groups);
                self.ranking(&self.samples(), sequence, self.grid.rows() - 1)
            }
            Order::Own => {
                let masses = self.masses([batch, head]);
                let mut order: Vec<usize> = (0..masses.len()).collect();
                order.sort_by_key(|&block| core::cmp::Reverse(masses[block]));
                order
            }
        }
    }

    fn masses(&self, [batch, head]: [usize; 2]) -> Vec<u64> {
        let blocks = self.grid.blocks();
        let masses = self.memory.words(Scratch::Masses);
        let at = (batch * self.grid.heads() + head) * blocks;
        masses[at..][..blocks].iter().map(|&mass| mass.into()).collect()
    }

    /// Counts are exactly those of the masses in their order.
    fn exact_counts(&self, gamma: f64, order: Order) {
        let measured = self.memory.words(Scratch::Measured);
        for (batch, head) in self.all_heads() {
            let got = measured[batch * self.grid.heads() + head] as usize;
            let masses = self.masses([batch, head]);
            let parts = u64::from(Share::WHOLE);
            let wanted =
                (masses.iter().sum::<u64>() * u64::from(Share::of(gamma).millionths())).div_ceil(parts);
            let mut held = 0;
            let reached = self.order(order, [batch, head]).iter().position(|&block| {
                held += masses[block];
                held >= wanted
            });
            assert_eq!(Some(got), reached.map(|place| place + 1), "count of {batch}/{head} in {order:?}");
        }
    }

    /// Counts lie between those of slightly smaller and slightly larger shares of the reference's masses.
    fn near_counts(&self, oracle: &Oracle, gamma: f64, order: Order) {
        let measured = self.memory.words(Scratch::Measured);
        for (batch, head) in self.all_heads() {
            let got = measured[batch * self.grid.heads() + head] as usize;
            let held = oracle.held(batch, head, &self.order(order, [batch, head]));
            let (low, high) = (fewest(&held, gamma - 1e-4), fewest(&held, gamma + 1e-4));
            assert!((low..=high).contains(&got), "head {batch}/{head}: {got} blocks, not {low}..={high}");
        }
    }

    /// Shares are exactly those of the masses in the list's order, and counts those at the largest share that fits the total.
    fn exact_parts(&self, ratio: Ratio) {
        let (blocks, heads, total) = (self.grid.blocks(), self.grid.heads(), self.total(ratio));
        let (shares, measured) = (self.memory.words(Scratch::Shares), self.memory.words(Scratch::Measured));
        for batch in 0..self.grid.batch() {
            let held: Vec<Vec<u64>> = (0..heads).map(|head| self.held([batch, head])).collect();
            for (head, want) in held.iter().enumerate() {
                let got = &shares[(batch * heads + head) * blocks..][..blocks];
                let got: Vec<u64> = got.iter().map(|&share| share.into()).collect();
                assert_eq!(&got, want, "shares of {batch}/{head}");
            }
            let count = |held: &Vec<u64>, bound| {
                (1 + held.partition_point(|&share| share < bound)).max(total.floor).min(blocks)
            };
            let fits = |bound| held.iter().map(|held| count(held, bound)).sum::<usize>() <= total.blocks;
            // Counts change where a bound passes a share.
            let mut bounds: Vec<u64> = held.iter().flatten().copied().collect();
            bounds.sort_unstable();
            let share =
                bounds[..bounds.partition_point(|&bound| fits(bound))].last().map_or(0, |&bound| bound);
            let want: Vec<usize> = held.iter().map(|held| count(held, share)).collect();
            let got = &measured[batch * heads..][..heads];
            let got: Vec<usize> = got.iter().map(|&count| count as usize).collect();
            assert_eq!(got, want, "counts of {batch}");
        }
    }

    /// Counts lie between those at slightly smaller and slightly larger shares of the reference's masses.
    fn near_parts(&self, oracle: &Oracle, ratio: Ratio) {
        let (heads, total) = (self.grid.heads(), self.total(ratio));
        let measured = self.memory.words(Scratch::Measured);
        for batch in 0..self.grid.batch() {
            let held = |head| oracle.held(batch, head, &self.order(Order::List, [batch, head]));
            let held: Vec<Vec<f64>> = (0..heads).map(held).collect();
            let gamma = total.gamma(held.iter().map(Vec::as_slice));
            for (head, held) in held.iter().enumerate() {
                let got = measured[batch * heads + head] as usize;
                let [low, high] = [gamma - 5e-4, gamma + 5e-4].map(|gamma| total.count(held, gamma));
                assert!((low..=high).contains(&got), "head {batch}/{head}: {got} blocks, not {low}..={high}");
            }
        }
    }

    /// What heads divide.
    fn total(&self, Ratio { share, min_tokens, .. }: Ratio) -> Total {
        let blocks = self.grid.blocks();
        let of_head = Share::of(share).of_count(blocks as u64) as usize;
        let floor = min_tokens.div_ceil(self.spec.block.kv) as usize;
        Total { blocks: self.grid.heads() * of_head, floor, visible: blocks }
    }

    /// What the first blocks of a head's list hold of its mass, in fractions of 2^32; all of it is one less.
    fn held(&self, of: [usize; 2]) -> Vec<u64> {
        let masses = self.masses(of);
        let whole: u64 = masses.iter().sum();
        let mut sum = 0;
        let order = self.order(Order::List, of);
        let held = order.iter().map(|&block| {
            sum += masses[block];
            if sum == whole { u32::MAX.into() } else { (sum << 32) / whole }
        });
        held.collect()
    }
}
