//! When two blocks may change places.

use core::f64::consts::LN_2;

/// When two blocks may change places.
#[derive(Clone, Copy, Debug)]
pub struct Ties {
    /// Their log-scores differ by this much of the larger one (or of 1) ...
    relative: f64,
    /// ... or by so many nats ...
    nats: f64,
    /// ... or both lie more nats below the best block of the row.
    depth: f64,
}

impl Ties {
    /// What rounding in f32 does to logits of some tens.
    pub const EXACT: Self = Self { relative: 1e-6, nats: 0.0, depth: f64::INFINITY };

    /// Logits of this size, which f32 rounds and adds up, and whose maxima are kept in steps of 1/64 in log2 within 980
    /// of the best.
    pub fn of_size(nats: f64) -> Self {
        Self { nats: LN_2 / 64.0 + nats.abs() * 2f64.powi(-20), depth: 980.0 * LN_2, ..Self::EXACT }
    }

    /// By how many nats a log-score may be another one.
    pub(crate) fn nats(&self) -> f64 {
        self.nats
    }

    /// How many nats below the best of a row blocks have no order.
    pub(crate) fn depth(&self) -> f64 {
        self.depth
    }

    pub(crate) fn excuse(&self, a: f64, b: f64, best: f64) -> bool {
        relative_gap(a, b) <= self.relative || (a - b).abs() <= self.nats || best - a.max(b) > self.depth
    }
}

/// How far two log-scores differ, as a share of the larger one (or of 1).
pub(super) fn relative_gap(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()).max(1.0) }
}
