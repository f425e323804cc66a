//! What a sample's scores are normalised by: the one place that tells sums apart.

use crate::cpu::simd::{PANEL, Row, Simd};
use crate::cpu::tile::{self, MASKED, Running};
use proxyattn_codegen::Sums;

/// The softmax of a panel of samples, as far as the keys have come.
#[allow(clippy::large_enum_variant)] // a unit of work has one for each of its few panels
pub(super) enum Normaliser {
    /// Over the keys.
    Exact(Running),
    /// Over the blocks' maxima, which are there anyway: nothing is to be done before the end.
    Maxima,
}

impl Normaliser {
    pub(super) fn new(sums: Sums) -> Self {
        match sums {
            Sums::Exact => Self::Exact(Running::START),
            Sums::Maxima => Self::Maxima,
        }
    }

    /// Takes a tile of scores in, of which `maxima` are the largest of each block so far.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, s: S, tile: &[Row], maxima: &[Row]) {
        if let Self::Exact(running) = self {
            running.raise(s, tile::row_max(s, maxima, &running.max));
            let sum = tile::sum_exp(s, tile, &running.max);
            running.add(s, &sum);
        }
    }

    /// The base-2 logarithm of each sample's sum, where `maxima` are those of all blocks that some sample sees.
    #[inline(always)]
    pub(super) fn log_sums<S: Simd>(&self, s: S, maxima: &[Row]) -> [f64; PANEL] {
        let (max, sum) = match self {
            Self::Exact(running) => (running.max, running.sum),
            Self::Maxima => {
                let max = tile::row_max(s, maxima, &[MASKED; PANEL]);
                (max, tile::sum_exp(s, maxima, &max))
            }
        };
        std::array::from_fn(|lane| f64::from(max[lane]) + f64::from(sum[lane]).log2())
    }
}
