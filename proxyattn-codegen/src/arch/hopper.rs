//! Shapes of the Hopper kernels: producer warps feed consumer warpgroups of 64 query rows each.

use super::ArchFacts;
use crate::Spec;
use crate::abi::Field;
use crate::pipeline::{Cx, Part};

/// What is known of the family.
pub(super) const FACTS: ArchFacts = ArchFacts {
    capability: (9, 0),
    specific: true,
    shared_bytes: 227 * 1024,
    multiprocessors: 132,
    // Measured on an H100 (32 heads on 8, 128 dims, bf16): a tenth of the blocks takes 1.6 to 1.8 times as long as dense
    // attention at 1024 tokens, 0.97 to 1.15 at 2048 and 0.51 at 4096 (`docs/performance/h100-2026-11-26-short.txt`). With a
    // dynamic budget nothing is left of that at 2048, which is what the step to 4096 allows for.
    dense_below: 4096,
};

/// Wrappers of PTX instructions, after the portable ones.
pub(super) const PRELUDE: [&str; 7] = [
    "prelude/stmatrix.cuh",
    "prelude/mbarrier.cuh",
    "prelude/tma.cuh",
    "prelude/descriptor.cuh",
    "prelude/wgmma.cuh",
    "prelude/e4m3.cuh",
    "prelude/warpgroup.cuh",
];

/// Threads of a warpgroup.
pub(crate) const WG_THREADS: u32 = 128;
/// Rows of a warpgroup: queries or samples.
pub(crate) const WG_ROWS: u32 = 64;
/// Room before the tiles for barriers and the descriptions of work, in bytes.
pub(crate) const BARRIER_BYTES: u32 = 2048;

/// A number that follows from how many consumer warpgroups there are: of more than the first of a pair, the second.
pub(crate) struct ByWarpgroups(&'static [(u32, u32)]);

impl ByWarpgroups {
    pub(crate) fn of(&self, warpgroups: u32) -> u32 {
        let found = self.0.iter().find(|(more_than, _)| warpgroups > *more_than);
        found.map_or(0, |(_, value)| *value)
    }

    /// As the text has it: `WARPGROUPS` stays open.
    pub(crate) fn text(&self) -> String {
        let cases = self.0.iter().map(|&(more_than, value)| match more_than {
            0 => value.to_string(),
            _ => format!("WARPGROUPS > {more_than} ? {value} : "),
        });
        format!("({})", cases.collect::<String>())
    }
}

/// Stages to a stage of keys; the rest is for values.
pub(crate) const STAGES_TO_A_KEY_STAGE: u32 = 2;
/// The stages that a warpgroup can tell the uses of apart, by a bit for each in a word, for each kind of stages that it
/// reads: two warpgroups have two kinds, three have three.
pub(crate) const SEEN_BITS: ByWarpgroups = ByWarpgroups(&[(2, 10), (0, 16)]);

/// Registers of a producer's and of a consumer's thread. 384 threads share them as 56 + 2 · 224 to each 128, and where
/// rows are wider than 128 as 24 + 2 · 240; 512 threads as 32 + 3 · 160, 640 as 32 + 4 · 112.
pub(crate) fn registers(spec: &Spec) -> [ByWarpgroups; 2] {
    match spec.head_dim > 128 {
        true => [ByWarpgroups(&[(2, 32), (0, 24)]), ByWarpgroups(&[(2, 160), (0, 240)])],
        false => [ByWarpgroups(&[(2, 32), (0, 56)]), ByWarpgroups(&[(3, 112), (2, 160), (0, 224)])],
    }
}

/// Constants that kernels of every stage share.
pub(crate) fn part(cx: &Cx<'_>) -> Part {
    let numbers = [
        ("WG_THREADS", WG_THREADS),
        ("WG_ROWS", WG_ROWS),
        ("BOX_COLUMNS", Field::BOX_COLUMNS),
        ("TILES_AT", BARRIER_BYTES),
    ];
    let [producer, consumer] = registers(cx.spec);
    Part {
        shared: numbers.map(|(name, value)| (name, value.to_string())).into(),
        tables: vec![(
            "Registers of a thread after the roles have parted: the producer needs few.",
            vec![("PRODUCER_REGISTERS", producer.text()), ("CONSUMER_REGISTERS", consumer.text())],
        )],
        ..Part::default()
    }
}

/// What lies in shared memory of the scoring passes, behind what comes `first`.
pub(crate) fn scoring_memory(cx: &Cx<'_>, first: &str, operand_bytes: u32) -> String {
    let (row, tiles) = (cx.spec.head_dim * operand_bytes, &cx.tiles.hopper);
    format!(
        "{first} in {BARRIER_BYTES} B; {} × {} B of queries; {} stages of {} B keys",
        tiles.score_warpgroups,
        WG_ROWS * row,
        tiles.score_stages,
        tiles.keys * row
    )
}

/// The numbers of the Hopper kernels that the GPU decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HopperTiles {
    /// `WARPGROUPS`: consumer warpgroups of a CTA, each with 64 rows of one query head.
    pub warpgroups: u32,
    /// `STAGE_KEYS`: keys of one stage of K or V, 64 or 128.
    pub keys: u32,
    /// `STAGES`: stages of the ring that keys and values share.
    pub stages: u32,
    /// `SCORE_WARPGROUPS`: consumer warpgroups of the scoring passes, each with 64 samples or queries.
    pub score_warpgroups: u32,
    /// `SCORE_STAGES`: stages of keys of the scoring passes.
    pub score_stages: u32,
    /// `QUERY_SLOTS`: 2 lets the next tile's queries arrive while this one's output leaves, 1 saves their room.
    pub query_slots: u32,
    /// `PING_PONG`: 1 lets two warpgroups take turns at the tensor cores, 0 leaves it to the hardware.
    pub ping_pong: u32,
}

impl HopperTiles {
    /// Whether a configuration's `dense` has a Hopper kernel: rows of shared memory are 64 elements under the widest
    /// swizzle.
    pub(crate) fn exist_for(spec: &Spec) -> bool {
        spec.head_dim.is_multiple_of(Field::BOX_COLUMNS)
    }

    /// Whether its `attend` has one: a warpgroup has 64 rows, and beside the output of wider rows there are too few
    /// registers for lists.
    pub(crate) fn attend(spec: &Spec) -> bool {
        Self::exist_for(spec) && spec.head_dim <= 128 && spec.block.q.is_multiple_of(WG_ROWS)
    }

    /// The defaults.
    pub(crate) fn of(spec: &Spec) -> Self {
        // At 128 dims weights are found so fast that two warpgroups keep the tensor cores busy without taking turns, and
        // lists of uneven lengths do better without. At 64, exponentials take as long as products.
        let (keys, stages, query_slots, ping_pong) = match spec.head_dim {
            64 => (128, 8, 2, 1),
            128 => (128, 5, 2, 0),
            _ => (64, 5, 1, 1),
        };
        Self { warpgroups: 2, keys, stages, score_warpgroups: 4, score_stages: 4, query_slots, ping_pong }
    }

    /// Whether kernels of these shapes exist for `spec`.
    pub(crate) fn fit(&self, spec: &Spec) -> bool {
        let block = spec.block.kv;
        matches!(self.warpgroups, 2 | 3)
            && (self.ping_pong == 0 || (self.ping_pong == 1 && self.warpgroups == 2))
            && matches!(self.keys, 64 | 128)
            && (block.is_multiple_of(self.keys) || self.keys.is_multiple_of(block))
            && (spec.block.q <= WG_ROWS || self.warpgroups.is_multiple_of(spec.block.q / WG_ROWS))
            && self.key_stages() >= 2
            && self.stages <= SEEN_BITS.of(self.warpgroups)
            && matches!(self.query_slots, 1 | 2)
            && self.shared_bytes(spec) <= FACTS.shared_bytes
            && matches!(self.score_warpgroups, 2..=4)
            && self.score_stages >= 2
            && (!(self.score(spec) || self.budget(spec)) || self.score_bytes(spec) <= FACTS.shared_bytes)
    }

    /// Stages of keys, which have a ring of their own; the rest is for values. Side by side, two heads need two of each.
    pub(crate) fn key_stages(&self) -> u32 {
        self.stages / STAGES_TO_A_KEY_STAGE
    }

    /// Whether a configuration's scorer has a Hopper kernel for its pass over the keys.
    pub(crate) fn score(&self, spec: &Spec) -> bool {
        spec.scorer.contract(|scorer| scorer.on_hopper(spec, self))
    }

    /// Whether its budget has one.
    pub(crate) fn budget(&self, spec: &Spec) -> bool {
        spec.budget.contract(|budget| budget.on_hopper(spec, self))
    }

    /// Rows of a CTA of the scoring passes: samples, or queries of a pack of heads.
    pub(crate) fn score_rows(&self) -> u32 {
        self.score_warpgroups * WG_ROWS
    }

    /// Threads of a CTA of the scoring passes.
    pub(crate) fn score_threads(&self) -> u32 {
        (self.score_warpgroups + 1) * WG_THREADS
    }

    /// Bytes of shared memory of the scoring passes, in elements of 16 bits.
    pub(crate) fn score_bytes(&self, spec: &Spec) -> u32 {
        self.operand_bytes(spec, 2)
    }

    /// The same in elements of so many bytes.
    pub(crate) fn operand_bytes(&self, spec: &Spec, bytes: u32) -> u32 {
        (self.score_rows() + self.score_stages * self.keys) * spec.head_dim * bytes + BARRIER_BYTES
    }

    /// The macros and their values.
    pub(crate) fn macros(&self) -> [(&'static str, u32); 7] {
        [
            ("WARPGROUPS", self.warpgroups),
            ("STAGE_KEYS", self.keys),
            ("STAGES", self.stages),
            ("SCORE_WARPGROUPS", self.score_warpgroups),
            ("SCORE_STAGES", self.score_stages),
            ("QUERY_SLOTS", self.query_slots),
            ("PING_PONG", self.ping_pong),
        ]
    }

    /// The number that a macro stands for.
    pub(crate) fn field(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "WARPGROUPS" => &mut self.warpgroups,
            "STAGE_KEYS" => &mut self.keys,
            "STAGES" => &mut self.stages,
            "SCORE_WARPGROUPS" => &mut self.score_warpgroups,
            "SCORE_STAGES" => &mut self.score_stages,
            "QUERY_SLOTS" => &mut self.query_slots,
            "PING_PONG" => &mut self.ping_pong,
            _ => return None,
        })
    }

    /// Threads of a CTA: the consumers, and a warpgroup of which one warp produces.
    pub(crate) fn threads(&self) -> u32 {
        (self.warpgroups + 1) * WG_THREADS
    }

    /// Keys that one copy brings: of one block, and for one stage.
    pub(crate) fn piece_keys(&self, spec: &Spec) -> u32 {
        spec.block.kv.min(self.keys)
    }

    /// Query heads that share a CTA of `attend`.
    pub(crate) fn heads(&self, spec: &Spec) -> u32 {
        self.warpgroups / spec.block.q.div_ceil(WG_ROWS)
    }

    /// Bytes of shared memory of the attention kernels.
    pub(crate) fn shared_bytes(&self, spec: &Spec) -> u32 {
        let rows = self.query_slots * self.warpgroups * WG_ROWS + self.stages * self.keys;
        rows * spec.head_dim * 2 + BARRIER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_by_warpgroups_reads_as_it_is_evaluated() {
        let table = ByWarpgroups(&[(3, 112), (2, 160), (0, 224)]);
        assert_eq!(table.text(), "(WARPGROUPS > 3 ? 112 : WARPGROUPS > 2 ? 160 : 224)");
        assert_eq!([2, 3, 4].map(|warpgroups| table.of(warpgroups)), [224, 160, 112]);
    }
}
