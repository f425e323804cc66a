//! The scorer `proxy`: mean queries and keys of the groups, and one pass of the ones over the others.

mod kernels;
mod pool;
mod syntax;

use super::{Contract, Pools};
use crate::abi::{Keys, UnitId};
use crate::arch::{HopperTiles, hopper, portable};
use crate::pipeline::{Cx, Part};
use crate::{Arch, Spec, Stride};

named! {
    /// What a sample's scores are normalised by.
    pub enum Sums {
        /// `log Σ_j exp(m(j))` over the largest score m of each block j of which the sample sees a key: one exponential for a
        /// block.
        Maxima = "maxima",
        /// `log Σ_s exp(x(s))` over the scores x of all keys s: softmax as the paper has it.
        Exact = "exact",
    }
}

named! {
    /// What the products of proxies are computed in.
    pub enum Precision {
        /// Eight-bit floats with four bits of exponent and three of mantissa: keys less their centre, the mean of the keys at
        /// the first tokens of at most 64 evenly spaced blocks; a power of two for each query sample and each block of keys,
        /// so that the largest magnitude is at most 448.
        E4m3 = "e4m3",
        /// The element type.
        Native = "native",
    }
}

/// `proxy(sums = maxima, scores = e4m3)`: token-level softmax of a group's mean query against its mean key, max-pooled over the
/// block (ProxyAttn, arXiv 2509.24745).
///
/// It takes the mean query of a group's heads at the first token of each window of `stride`, and the group's mean keys. The
/// score of a row of blocks and a block j is the largest m(s, j) − lse(s) over the row's query samples s, where m(s, j) is the
/// largest logit over the key samples of block j that s sees: the logarithm of a weight, the largest probability that a sample
/// of the row gives to one of the block.
///
/// With `pool = sum`, the largest probability gives way to the sum of all, over the row's samples and the block's key samples:
/// with the first of each window, a sample of the attention's mass in the block. What normalises it is the sum over the keys,
/// which is that of all blocks' sums, so `sums` has no effect. It is there to be compared with, and on Hopper runs the portable
/// kernel.
///
/// With three bits of mantissa, `e4m3` cannot tell blocks apart that differ by less than a sixteenth of a product's size,
/// once what all keys share is gone: tests find no wrong list up to logits of 20,000 nats, and at 128 dims on Hopper some
/// from 50,000 on. Write `scores = native` for a model beyond that. The centre and a block's power of two are those of all
/// keys of the call, so which blocks a query visits depends slightly on keys that it does not see, and never on tokens of
/// later calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proxy {
    /// What a sample's scores are normalised by, before the largest is taken over the samples of a row of blocks.
    pub sums: Sums,
    /// What products are computed in.
    pub scores: Precision,
    /// What is made of the probabilities that a row's samples give to the keys of a block.
    pub pool: Pools,
}

impl Proxy {
    /// Blocks, evenly spaced, whose first tokens' mean keys make up the centre that keys in e4m3 lose; all blocks where there
    /// are fewer.
    pub const CENTRE_BLOCKS: u32 = 64;

    /// `scorer = proxy` without any part.
    pub const DEFAULT: Proxy = Proxy { sums: Sums::Maxima, scores: Precision::E4m3, pool: Pools::Max };

    /// The paper's rule.
    pub const PAPER: Proxy = Proxy { sums: Sums::Exact, scores: Precision::Native, pool: Pools::Max };
}

impl Contract for Proxy {
    /// The first token of each window of the stride is looked at.
    fn window(&self, spec: &Spec) -> Stride {
        spec.stride
    }

    fn pools(&self) -> Pools {
        self.pool
    }

    /// Shared memory has no room for wider rows, and a block's samples are at least the eight columns of a lane's quad, and
    /// at most a stage. Sums over a block's keys are the portable kernel's alone.
    fn on_hopper(&self, spec: &Spec, tiles: &HopperTiles) -> bool {
        let samples = spec.block_samples().kv;
        let fits = spec.head_dim <= 128 && samples >= 8 && tiles.keys.is_multiple_of(samples);
        fits && self.pool == Pools::Max
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let mut memory = vec![(UnitId::Scoring, portable::scoring_memory(cx))];
        match cx.native.score {
            Arch::Sm80 => {}
            Arch::Sm90a => {
                let first = "barriers and descriptions of work";
                memory.push((UnitId::Score, hopper::scoring_memory(cx, first, self.operand_bytes(cx))));
            }
        }
        Part {
            kernels: kernels::kernels(self, cx),
            buffers: kernels::buffers(self, cx),
            sections: self.sections(cx),
            shared: pool::constants(self, cx),
            memory,
            ..Part::default()
        }
    }
}

impl Proxy {
    /// Whether e4m3 is what tensor cores multiply, and not only what elements are rounded to: rows are those of the
    /// 128-byte swizzle.
    fn in_bytes(&self, cx: &Cx<'_>) -> bool {
        let native = match cx.native.score {
            Arch::Sm80 => false,
            Arch::Sm90a => true,
        };
        self.scores == Precision::E4m3 && native && cx.spec.head_dim == 128
    }

    /// Bytes of an element that is multiplied.
    fn operand_bytes(&self, cx: &Cx<'_>) -> u32 {
        if self.in_bytes(cx) { 1 } else { 2 }
    }

    /// What the keys are: a group's mean keys, rounded or not, or the keys of the one KV head that it has.
    fn keys(&self, cx: &Cx<'_>) -> Keys {
        let several = cx.spec.groups.is_some() && cx.spec.groups != cx.spec.kv_heads;
        match self.scores {
            Precision::E4m3 if self.in_bytes(cx) => Keys::Pooled8,
            Precision::E4m3 => Keys::Pooled,
            Precision::Native if several => Keys::Pooled,
            Precision::Native => Keys::Sampled,
        }
    }

    /// Whether keys are added up beside what is kept of the blocks. The sums of all blocks' keys are those of the keys.
    fn adds_keys(&self) -> bool {
        self.sums == Sums::Exact && self.pool == Pools::Max
    }

    fn sections(&self, cx: &Cx<'_>) -> Vec<(&'static str, bool)> {
        let (spec, tiles) = (cx.spec, cx.tiles);
        let samples = spec.block_samples().kv;
        vec![
            ("POOL_KEYS", !spec.is_dense() && self.keys(cx) == Keys::Pooled),
            ("E4M3", self.scores == Precision::E4m3),
            ("E4M3_BYTES", self.in_bytes(cx)),
            // What was divided is multiplied back in the maxima alone, where no other score is looked at.
            ("FACTORS_OF_TOPS", self.scores == Precision::E4m3 && !self.adds_keys()),
            ("FACTORS_OF_SCORES", self.scores == Precision::E4m3 && self.adds_keys()),
            ("SUMS_EXACT", self.adds_keys()),
            ("FEW_BLOCKS", tiles.hopper.keys <= 8 * samples),
            ("BLOCK_FILLS_STAGE", samples == tiles.hopper.keys),
            // How a block's samples lie in a tile of scores.
            ("BLOCK_SPANS_TILES", samples > tiles.ring_keys),
            ("BLOCK_FILLS_N_TILES", samples <= tiles.ring_keys && samples >= 8),
            ("BLOCK_WITHIN_N_TILE", samples < 8),
            ("BLOCK_OF_4", samples == 4),
            ("BLOCK_OF_2", samples == 2),
            ("BLOCK_OF_1", samples == 1),
        ]
    }
}
