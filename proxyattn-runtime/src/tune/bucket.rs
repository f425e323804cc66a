//! Problems that share a choice of tiles.

use crate::Plan;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A range of context lengths and densities, named by its centre.
///
/// The boundaries are geometric means of neighbouring centres: a context of 24,000 tokens is in the bucket of 32,768.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Key tokens: a power of two from 512 to 1,048,576.
    pub tokens: u64,
    /// Visited tiles, in percent of the tiles that dense attention visits: 5, 10, 20, 30 or 100.
    pub density: u32,
}

/// Exponents of the shortest and the longest bucket.
const LENGTHS: core::ops::RangeInclusive<u32> = 9..=20;
const DENSITIES: [u32; 5] = [5, 10, 20, 30, 100];

impl Bucket {
    /// The bucket of a plan. A dynamic budget counts as 20%, or as what its minimum keeps if that is more.
    pub fn of(plan: &Plan) -> Self {
        let kv_len = plan.problem().kv_len as u64;
        let below = kv_len.max(1).ilog2();
        let exponent = below + u32::from(u128::from(kv_len).pow(2) > 1u128 << (2 * below + 1));
        let percent = if plan.is_dense() { 100.0 } else { 100.0 * plan.spec().expected_share(kv_len) };
        let edge = |i: &usize| percent < f64::from(DENSITIES[*i] * DENSITIES[*i + 1]).sqrt();
        let density = (0..DENSITIES.len() - 1).find(edge).unwrap_or(DENSITIES.len() - 1);
        Self { tokens: 1 << exponent.clamp(*LENGTHS.start(), *LENGTHS.end()), density: DENSITIES[density] }
    }

    /// Every bucket, in the order of [`index`](Self::index).
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        LENGTHS.flat_map(|exponent| DENSITIES.map(|density| Self { tokens: 1 << exponent, density }))
    }

    /// Its index in [`all`](Self::all).
    pub(crate) fn index(self) -> usize {
        let (length, density) = self.steps();
        length * DENSITIES.len() + density
    }

    /// Whether the bucket is in [`all`](Self::all), as one read from a record may not be.
    pub(crate) fn exists(self) -> bool {
        let length = self.tokens.is_power_of_two() && LENGTHS.contains(&self.tokens.ilog2());
        length && DENSITIES.contains(&self.density)
    }

    /// Steps between two buckets; `densities` is false for kernels that do not depend on density.
    pub(crate) fn distance(self, other: Self, densities: bool) -> (usize, usize) {
        let ((length, density), (others_length, others_density)) = (self.steps(), other.steps());
        let density = if densities { density.abs_diff(others_density) } else { 0 };
        (length.abs_diff(others_length) + density, density)
    }

    fn steps(self) -> (usize, usize) {
        let length = self.tokens.ilog2().saturating_sub(*LENGTHS.start()) as usize;
        let density = DENSITIES.iter().position(|&density| density >= self.density);
        (length, density.unwrap_or(DENSITIES.len() - 1))
    }

    /// The density as a share.
    pub(crate) fn share(self) -> f64 {
        f64::from(self.density) / 100.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens at {}%", self.tokens, self.density)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;
    use proxyattn_codegen::{Budget, Spec};

    fn of(spec: Spec, kv_len: usize) -> (u64, u32) {
        let problem = Problem { batch: 1, heads: 8, kv_heads: 2, q_len: kv_len.min(4096), kv_len };
        let bucket = Bucket::of(&Plan::new(&spec, &problem).unwrap());
        (bucket.tokens, bucket.density)
    }

    #[test]
    fn a_plan_falls_into_the_nearest_bucket() {
        let ratio = |share| Spec { budget: Budget::ratio(share), ..Spec::DEFAULT };
        assert_eq!(of(ratio(0.1), 32768), (32768, 10));
        assert_eq!(of(ratio(0.1), 46_000), (32768, 10));
        assert_eq!(of(ratio(0.1), 47_000), (65536, 10));
        assert_eq!(of(ratio(0.07), 65536), (65536, 5));
        assert_eq!(of(ratio(0.08), 65536), (65536, 10));
        assert_eq!(of(ratio(0.4), 65536), (65536, 30));
        assert_eq!(of(ratio(0.7), 65536), (65536, 100));
        assert_eq!(of(ratio(0.1), 1 << 23), (1 << 20, 10));
        assert_eq!(of(Spec::DEFAULT, 131_072), (131_072, 10));
        assert_eq!(of(Spec::PAPER, 131_072), (131_072, 20));
        assert_eq!(of(Spec::DEFAULT, 3000), (4096, 30));
        assert_eq!(of(Spec::DEFAULT, 3), (512, 100));
        let top = Spec { budget: Budget::top_k(64), ..Spec::DEFAULT };
        assert_eq!(of(top, 131_072), (131_072, 5));
        assert_eq!(of(Spec { budget: Budget::All, ..Spec::DEFAULT }, 4096), (4096, 100));
    }

    #[test]
    fn buckets_are_numbered_in_order() {
        assert_eq!(Bucket::all().count(), 60);
        for (i, bucket) in Bucket::all().enumerate() {
            assert_eq!(bucket.index(), i);
            assert!(bucket.exists());
        }
        assert!(
            !Bucket { tokens: 1000, density: 5 }.exists() && !Bucket { tokens: 512, density: 6 }.exists()
        );
        assert!(!Bucket { tokens: 0, density: 5 }.exists());
    }

    #[test]
    fn near_is_counted_in_steps() {
        let at = |tokens, density| Bucket { tokens, density };
        assert_eq!(at(1024, 5).distance(at(4096, 20), true), (4, 2));
        assert_eq!(at(1024, 5).distance(at(4096, 20), false), (2, 0));
    }
}
