//! The counts that kernels leave.

use super::measure;
use crate::Oracle;
use crate::budget::mass::{fewest, held, masses};
use crate::stages::Buffers;
use proxyattn_codegen::{Dynamic, Share};

/// Counts are exactly those of the masses in their order.
pub(super) fn exact_counts(dynamic: &Dynamic, left: &Buffers<'_>) {
    let (measured, last) = (left.measured(), left.grid.rows() - 1);
    for (batch, head) in left.all_heads() {
        let masses = masses(left, [batch, head]);
        let parts = u64::from(Share::WHOLE);
        let gamma = u64::from(Share::of(dynamic.gamma).millionths());
        let wanted = (masses.iter().sum::<u64>() * gamma).div_ceil(parts);
        let mut held = 0;
        let reached = measure(dynamic).left_order(left, [batch, head]).iter().position(|&block| {
            held += masses[block];
            held >= wanted
        });
        let (got, want) = (measured(batch, head, last), reached.map(|place| place + 1));
        assert_eq!(Some(got), want, "count of {batch}/{head} in {:?}", dynamic.order);
    }
}

/// Counts lie between those of slightly smaller and slightly larger shares of the reference's masses.
pub(super) fn near_counts(dynamic: &Dynamic, left: &Buffers<'_>, oracle: &Oracle) {
    let (measured, last) = (left.measured(), left.grid.rows() - 1);
    for (batch, head) in left.all_heads() {
        let got = measured(batch, head, last);
        let order = measure(dynamic).left_order(left, [batch, head]);
        let held = held(measure(dynamic).masses(oracle, batch, head), &order);
        let (low, high) = (fewest(&held, dynamic.gamma - 1e-4), fewest(&held, dynamic.gamma + 1e-4));
        assert!((low..=high).contains(&got), "head {batch}/{head}: {got} blocks, not {low}..={high}");
    }
}
