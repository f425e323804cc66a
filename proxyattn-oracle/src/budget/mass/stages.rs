//! The buffers that masses come from: norms, partials and masses.

use super::Measure;
use crate::Oracle;
use crate::stages::Buffers;
use core::f64::consts::LN_2;
use proxyattn_codegen::cuda::Scratch;
use proxyattn_codegen::{Order, Weigh};

/// The mass of all blocks of a head, as the kernels count it.
const WHOLE: f64 = (1u64 << 31) as f64;

impl Measure {
    /// Asserts norms, each (query, block)'s share of the sums, and the share of the mass that each block holds.
    pub(crate) fn near(self, left: &Buffers<'_>, oracle: &Oracle) {
        assert_eq!(left.has(Scratch::Norms), self.weigh == Weigh::Values);
        if self.weigh == Weigh::Values {
            let kv_heads = oracle.batch * oracle.kv_heads;
            let want: Vec<f64> = (0..kv_heads).flat_map(|kv_head| oracle.value_norms(kv_head)).collect();
            let got = left.floats(Scratch::Norms);
            assert_eq!(got.len(), want.len(), "norms");
            for (i, (&got, want)) in got.iter().zip(want).enumerate() {
                assert!((f64::from(got) - want).abs() <= 1e-6 * want, "norm {i}: {got}, not {want}");
            }
        }
        let masses = left.words(Scratch::Masses);
        for (batch, head) in left.all_heads() {
            partials(left, Scratch::PartialSum, [batch, head], |token| oracle.block_sums(batch, head, token));
            if self.weigh == Weigh::Values {
                let sums = |token| oracle.weighed_sums(batch, head, token);
                partials(left, Scratch::PartialWeighted, [batch, head], sums);
            }
            let want = self.masses(oracle, batch, head);
            let got = &masses[(batch * oracle.heads + head) * want.len()..][..want.len()];
            for (block, (&got, want)) in got.iter().zip(want).enumerate() {
                let got = f64::from(got) / WHOLE;
                assert!(
                    (got - want).abs() < 5e-4 * want + 1e-6,
                    "mass {batch}/{head}/{block}: {got}, not {want}"
                );
            }
        }
    }

    /// The order in which the blocks of a head are counted, by what the kernels before have left.
    pub(crate) fn left_order(self, left: &Buffers<'_>, [batch, head]: [usize; 2]) -> Vec<usize> {
        match self.order {
            Order::List => {
                let grid = left.grid;
                left.ranking(batch * grid.groups + head / (grid.heads / grid.groups), grid.rows() - 1)
            }
            Order::Own => {
                let masses = masses(left, [batch, head]);
                let mut order: Vec<usize> = (0..masses.len()).collect();
                order.sort_by_key(|&block| core::cmp::Reverse(masses[block]));
                order
            }
        }
    }
}

/// Asserts partial sums under `partial_max`, of a head: `want` says of a query the log of each, for the blocks of which there are
/// partials.
pub(crate) fn partials(
    left: &Buffers<'_>,
    buffer: Scratch,
    [batch, head]: [usize; 2],
    want: impl Fn(usize) -> Vec<f64>,
) {
    let (maxima, under) = (left.floats(Scratch::PartialMax), left.floats(buffer));
    for (i, token) in left.grid.last_queries().enumerate() {
        let sums = want(token);
        let highest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total = highest + sums.iter().map(|sum| (sum - highest).exp()).sum::<f64>().ln();
        // What weighs nothing beside the whole may be any little.
        let nothing = total / LN_2 - 60.0;
        for (block, sum) in sums.iter().enumerate() {
            let flat = batch * left.grid.heads + head;
            let at = (flat * sums.len() + block) * left.spec().block.q as usize + i;
            let (max, under) = (f64::from(maxima[at]), f64::from(under[at]));
            let (got, want) = (max + under.log2(), sum / LN_2);
            assert!(
                got == want || (got - want).abs() < 2e-4 * (1.0 + want.abs()) || got.max(want) < nothing,
                "{buffer} {batch}/{head}/{i}/{block}: {got}, not {want}"
            );
        }
    }
}

/// The masses of a head, as the kernels count them.
pub(crate) fn masses(left: &Buffers<'_>, [batch, head]: [usize; 2]) -> Vec<u64> {
    let blocks = left.grid.blocks();
    let masses = left.words(Scratch::Masses);
    let at = (batch * left.grid.heads + head) * blocks;
    masses[at..][..blocks].iter().map(|&mass| mass.into()).collect()
}
