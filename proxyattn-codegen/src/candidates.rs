//! Tiles that a tuner may choose between.
//!
//! A list is short because a model prunes it: what does not fit shared memory, what would spill, what leaves a
//! multiprocessor idle, and what would need another text. So a candidate is a handful of `-D` on the text that there is.

use crate::abi::{Kernel, UnitId};
use crate::arch::{HopperTiles, Tiles, hopper};
use crate::cuda;
use crate::pipeline::{Cx, Native, Pipeline};
use crate::{Arch, Spec};

/// Values of some of a text's open constants, by name; those that are not named keep their defaults.
pub type Constants = [(&'static str, u32)];

/// Registers that a thread may have.
const THREAD_REGISTERS: u32 = 255;
/// Registers of a multiprocessor.
const REGISTERS: u32 = 64 << 10;
/// What a thread holds beside accumulators and operands: addresses, counters, row maxima and sums. A portable kernel has
/// been seen to do with this when it spills a few bytes around its loop, and to be the faster one.
const OTHER_REGISTERS: u32 = 24;
/// The same of the Hopper kernels, which keep more: where they are in the ring, and what is left of the tile.
const HOPPER_REGISTERS: u32 = 32;
/// The largest shared memory of a CTA on a GPU that runs the portable kernels as its own. The runtime asks the device, which
/// may have 99 KiB.
const PORTABLE_BYTES: u32 = Arch::Sm80.facts().shared_bytes;
/// The shared memory of a multiprocessor that occupancy is counted on: the smallest there is.
const RESIDENT_BYTES: u32 = 100 * 1024;
/// Warps that hide one another's latencies on the four schedulers of a multiprocessor.
const RESIDENT_WARPS: u32 = 4;

/// The units of a configuration that have candidates on a family, in the order in which they run.
pub fn tunable(spec: &Spec, arch: Arch) -> Vec<UnitId> {
    let tiles = Tiles::portable(spec, None);
    let pipeline = Pipeline::of(&Cx { spec, tiles: &tiles, native: Native::of(spec, arch, &tiles) });
    let units = pipeline.units().into_iter().map(|(unit, _)| unit);
    units.filter(|&unit| !candidates(spec, arch, unit).is_empty()).collect()
}

/// The candidates for one unit, each as the constants that differ from the default ones; none for a unit that the
/// configuration lacks, or that has no product in it.
pub fn candidates(spec: &Spec, arch: Arch, unit: UnitId) -> Vec<Vec<(&'static str, u32)>> {
    let default = Tiles::portable(spec, None);
    let native = Native::of(spec, arch, &default);
    let all = match unit {
        UnitId::Scoring | UnitId::Score | UnitId::Budget | UnitId::Attend if spec.is_dense() => Vec::new(),
        UnitId::Scoring => match native.score {
            Arch::Sm80 => ring(spec, &default),
            // Where `score` has a unit of its own, what is left here is not worth a choice.
            Arch::Sm90a => Vec::new(),
        },
        UnitId::Score => match native.score {
            Arch::Sm80 => Vec::new(),
            Arch::Sm90a => hopper_score(spec, &default),
        },
        UnitId::Budget => Vec::new(),
        UnitId::Attend => match native.attend {
            Arch::Sm80 => portable_attention(spec, &default),
            Arch::Sm90a => hopper_attention(spec, &default, true),
        },
        UnitId::Dense => match native.dense {
            Arch::Sm80 => portable_attention(spec, &default),
            Arch::Sm90a => hopper_attention(spec, &default, false),
        },
    };
    let sections_of = |tiles: &Tiles| Pipeline::of(&Cx { spec, tiles, native }).sections().to_vec();
    let sections = sections_of(&default);
    let kernels_of =
        |tiles: &Tiles| Pipeline::of(&Cx { spec, tiles, native }).of_unit(unit).cloned().collect::<Vec<_>>();
    let mut seen = vec![default];
    all.into_iter()
        .filter(|tiles| tiles.fit(spec) && !seen.contains(tiles) && (seen.push(*tiles), true).1)
        // A scorer's pass may have no open constant: then every choice is the default.
        .filter(|tiles| unit != UnitId::Score || kernels_of(tiles) != kernels_of(&default))
        // Only the scoring passes have sections that depend on tiles.
        .filter(|tiles| !unit.scores() || sections_of(tiles) == sections)
        .map(|tiles| tiles.changed(&default))
        .collect()
}

/// The kernels of one unit as they are launched with other tiles. The text stays that of [`emit`](crate::cuda::emit), with the
/// tiles' constants given by `-D`.
///
/// # Panics
/// If `spec` breaks a rule, or the tiles do not fit it.
pub fn retiled(spec: &Spec, arch: Arch, unit: UnitId, tiles: &Tiles) -> Vec<Kernel> {
    cuda::check(spec, tiles);
    let native = Native::of(spec, arch, &Tiles::portable(spec, None));
    Pipeline::of(&Cx { spec, tiles, native }).of_unit(unit).cloned().collect()
}

/// The default's rows spread in other ways over heads and warps, and rings of tiles of keys.
fn portable_attention(spec: &Spec, default: &Tiles) -> Vec<Tiles> {
    let Tiles { heads, rows, .. } = *default;
    // Narrow warps are twice as many; more heads of fewer rows read each key less often.
    let shapes = [(heads, rows, 32), (heads, rows, 16), (2 * heads, rows / 2, 32), (2 * heads, rows / 2, 16)];
    let mut found = Vec::new();
    for (heads, rows, warp_rows) in shapes {
        for keys in [32, 64] {
            let with = |stages| Tiles { heads, rows, warp_rows, keys, stages, ..*default };
            let deepest =
                |bytes: u32| (2..=4).rev().map(with).find(|tiles| tiles.attend_bytes(spec) <= bytes);
            // A ring that leaves room for a second CTA, one for a CTA alone, and one that consumer GPUs have no room for.
            for bytes in [RESIDENT_BYTES / 2, RESIDENT_BYTES - 1024, PORTABLE_BYTES] {
                found.extend(deepest(bytes).filter(|tiles| {
                    tiles.fit(spec) && packs(spec, tiles.heads) && portable_fits(spec, tiles)
                }));
            }
        }
    }
    found
}

/// Whether so many heads share a KV head's tiles without a remainder, as far as that is known.
fn packs(spec: &Spec, heads: u32) -> bool {
    let pinned = spec.heads.zip(spec.kv_heads).map(|(heads, kv_heads)| heads / kv_heads);
    pinned.is_none_or(|ratio| ratio.is_multiple_of(heads))
}

/// Registers of a thread and occupancy of the portable attention kernels.
fn portable_fits(spec: &Spec, tiles: &Tiles) -> bool {
    let output = tiles.warp_rows * spec.head_dim / 32;
    let scores = tiles.warp_rows * tiles.keys / 32;
    // Rows of 64 are held; of wider ones a step's operands are.
    let queries = if spec.head_dim == 64 { tiles.warp_rows } else { tiles.warp_rows / 4 };
    let registers = output + scores + queries + OTHER_REGISTERS;
    let (bytes, threads) = (tiles.attend_bytes(spec), tiles.threads());
    let resident = (RESIDENT_BYTES / bytes).max(1).min(REGISTERS / (registers * threads).max(1));
    registers <= THREAD_REGISTERS && bytes <= PORTABLE_BYTES && resident * threads / 32 >= RESIDENT_WARPS
}

/// The ring of the portable scoring passes, of which two CTAs share a multiprocessor.
fn ring(spec: &Spec, default: &Tiles) -> Vec<Tiles> {
    let shapes = [32, 64, 128].into_iter().flat_map(|keys| [2, 3, 4].map(|stages| (keys, stages)));
    let tiles = shapes.map(|(ring_keys, ring_stages)| Tiles { ring_keys, ring_stages, ..*default });
    let fits = |tiles: &Tiles| {
        // Two rows of a quad for each of 32 samples, and the samples themselves.
        let registers = tiles.ring_keys + spec.head_dim / 2 + OTHER_REGISTERS;
        registers <= THREAD_REGISTERS && 2 * tiles.ring_bytes(spec) <= PORTABLE_BYTES
    };
    tiles.filter(fits).collect()
}

/// Consumers, stages and slots of the Hopper attention kernels.
fn hopper_attention(spec: &Spec, default: &Tiles, lists: bool) -> Vec<Tiles> {
    let mut found = Vec::new();
    for (warpgroups, ping_pong) in [(2, 1), (2, 0), (3, 0)] {
        for keys in [64, 128] {
            for query_slots in [2, 1] {
                let shape = HopperTiles { warpgroups, keys, query_slots, ping_pong, ..default.hopper };
                let with = |stages| HopperTiles { stages, ..shape };
                let fits = |tiles: &HopperTiles| tiles.fit(spec) && hopper_fits(spec, tiles, lists);
                // Shared memory that is left over is of no use to anybody else: the deepest ring.
                let deepest = (3..=12).rev().map(with).find(fits);
                found.extend(deepest.map(|hopper| Tiles { hopper, ..*default }));
            }
        }
    }
    found
}

/// Registers of a consumer's thread: output, scores, and the weights of two stages live side by side.
fn hopper_fits(spec: &Spec, tiles: &HopperTiles, lists: bool) -> bool {
    let registers = spec.head_dim / 2 + tiles.keys / 2 + 2 * (tiles.keys / 4) + HOPPER_REGISTERS;
    registers <= consumer_registers(spec, tiles.warpgroups) && (!lists || packs(spec, tiles.heads(spec)))
}

/// Consumers and stages of the Hopper scoring pass.
fn hopper_score(spec: &Spec, default: &Tiles) -> Vec<Tiles> {
    let mut found = Vec::new();
    for score_warpgroups in [2, 3, 4] {
        for keys in [64u32, 128] {
            let samples = spec.block_samples().kv;
            // Scores, and two rows' maxima of each block.
            let registers = keys / 2 + 2 * keys.div_ceil(samples) + OTHER_REGISTERS;
            for score_stages in [2, 4] {
                let hopper = HopperTiles { score_warpgroups, keys, score_stages, ..default.hopper };
                if hopper.score(spec) && registers <= consumer_registers(spec, score_warpgroups) {
                    found.push(Tiles { hopper, ..*default });
                }
            }
        }
    }
    found
}

/// What a consumer's thread has.
fn consumer_registers(spec: &Spec, warpgroups: u32) -> u32 {
    let [_, consumer] = hopper::registers(spec);
    consumer.of(warpgroups)
}
