//! Numbers that the text and the launch share. They stand here alone: the text has them as constants of its header.

use super::hopper;
use super::kernels::Cx;
use crate::Spec;
use crate::abi::Field;

pub(super) const POOL_THREADS: u32 = 128;
/// Rows of a CTA of the portable scoring passes.
pub(super) const SCORING_ROWS: u32 = 128;
pub(super) const SCORING_THREADS: u32 = 128;
pub(super) const COUNT_THREADS: u32 = 512;
pub(super) const SELECT_THREADS: u32 = 128;
/// Values of the first digit of a rank.
const DIGITS: u32 = 256;
/// Heads of a group, and so cuts of its ranking, that `select` has room for.
pub(super) const MAX_CUTS: u32 = 256;
const _: () = assert!(MAX_CUTS >= DIGITS, "a warp's words in `select` hold either");
/// Segments of keys whose levels `select` holds at a time: a multiple of four.
const LEVEL_SEGMENTS: u32 = 16;
/// Codes of `maxima` to each unit of log2: two scores that differ by more than a 64th have different codes, and 65536 of
/// them reach 1024 units down.
pub const CODES_PER_LOG2: f32 = 64.0;
/// Threads of a warp.
const WARP: u32 = 32;

/// Threads of a warpgroup.
pub(super) const WG_THREADS: u32 = 128;
/// Rows of a warpgroup: queries or samples.
pub(super) const WG_ROWS: u32 = 64;
/// Room before the tiles for barriers and the descriptions of work, in bytes.
pub(super) const BARRIER_BYTES: u32 = 2048;

/// Query heads of a group that kernels have room for.
pub const MAX_GROUP_HEADS: u64 = MAX_CUTS as u64;

/// A number that follows from how many consumer warpgroups there are: of more than the first of a pair, the second.
pub(super) struct ByWarpgroups(pub(super) &'static [(u32, u32)]);

impl ByWarpgroups {
    pub(super) fn of(&self, warpgroups: u32) -> u32 {
        let found = self.0.iter().find(|(more_than, _)| warpgroups > *more_than);
        found.map_or(0, |(_, value)| *value)
    }

    /// As the text has it: `WARPGROUPS` stays open.
    fn text(&self) -> String {
        let cases = self.0.iter().map(|&(more_than, value)| match more_than {
            0 => value.to_string(),
            _ => format!("WARPGROUPS > {more_than} ? {value} : "),
        });
        format!("({})", cases.collect::<String>())
    }
}

/// Pieces of shared memory, one after the other, in words.
pub(super) struct Words {
    /// Where each begins, by its name in the text.
    starts: Vec<(&'static str, u32)>,
    /// Their end.
    words: u32,
}

impl Words {
    fn new(pieces: &[(&'static str, u32)]) -> Self {
        let mut words = 0;
        let place = |&(name, length): &(&'static str, u32)| {
            let start = words;
            words += length;
            (name, start)
        };
        let starts = pieces.iter().map(place).collect();
        Self { starts, words }
    }

    /// Bytes of all pieces.
    pub(super) fn bytes(&self) -> u32 {
        self.words * 4
    }
}

/// Shared memory of `select`. Behind the beginning of the ranks lies one for each block.
pub(super) fn select_words(cx: &Cx<'_>) -> Words {
    let samples = cx.spec.block.q / cx.spec.stride.q;
    // By segments there is a level for each of some segments, and the samples' sums.
    let (levels, sums) = if cx.native.segments() { (LEVEL_SEGMENTS, 1) } else { (1, 0) };
    Words::new(&[
        ("SELECT_HISTOGRAM", DIGITS),
        ("SELECT_OF_WARPS", SELECT_THREADS / WARP * MAX_CUTS),
        ("SELECT_LEVELS", (levels * samples).next_multiple_of(4)),
        ("SELECT_LSE", (sums * samples).next_multiple_of(4)),
        ("SELECT_COUNTS", MAX_CUTS),
        ("SELECT_CUTS", MAX_CUTS),
        ("SELECT_THRESHOLDS", MAX_CUTS),
        ("SELECT_BOUNDS", MAX_CUTS),
        ("SELECT_FOUND", 4),
        // Ranks are read by fours.
        ("SELECT_RANKS", 3),
    ])
}

/// Shared memory of `budget_counts`. The masses are one for each block.
pub(super) fn count_words(spec: &Spec) -> Words {
    let warps = COUNT_THREADS / WARP;
    Words::new(&[
        ("COUNT_MAXIMA", warps * spec.block.q),
        ("COUNT_SUMS", warps * spec.block.q),
        ("COUNT_VOTES", warps),
        ("COUNT_MASSES", 0),
    ])
}

/// Constants of the text under a heading.
pub(super) type Section = (&'static str, Vec<(&'static str, String)>);

/// What the header of a text may hold; it holds what the text speaks of.
pub(super) fn sections(cx: &Cx<'_>) -> Vec<Section> {
    let spec = cx.spec;
    let numbers = [
        ("POOL_THREADS", POOL_THREADS),
        ("SCORING_THREADS", SCORING_THREADS),
        ("SCORING_ROWS", SCORING_ROWS),
        ("COUNT_THREADS", COUNT_THREADS),
        ("SELECT_THREADS", SELECT_THREADS),
        ("DIGITS", DIGITS),
        ("MAX_CUTS", MAX_CUTS),
        ("LEVEL_SEGMENTS", LEVEL_SEGMENTS),
        ("WG_THREADS", WG_THREADS),
        ("WG_ROWS", WG_ROWS),
        ("BOX_COLUMNS", Field::BOX_COLUMNS),
        ("TILES_AT", BARRIER_BYTES),
    ];
    let shown = |(name, value): (&'static str, u32)| (name, value.to_string());
    let mut shared: Vec<_> = numbers.map(shown).into();
    shared.push(("CODES_PER_LOG2", format!("{CODES_PER_LOG2:.1}f")));
    shared.push(("KEY_STAGES", format!("(STAGES / {})", hopper::STAGES_TO_A_KEY_STAGE)));
    shared.push(("SEEN_BITS", hopper::SEEN_BITS.text()));
    let [producer, consumer] = hopper::registers(spec);
    let words = |words: Words| words.starts.into_iter().map(shown).collect();
    vec![
        ("What the launch knows, too.", shared),
        (
            "Registers of a thread after the roles have parted: the producer needs few.",
            vec![("PRODUCER_REGISTERS", producer.text()), ("CONSUMER_REGISTERS", consumer.text())],
        ),
        (
            "Shared memory of budget_counts, in words: of each warp and query, of each warp, of each block.",
            words(count_words(spec)),
        ),
        (
            "Shared memory of select, in words. A warp has words of its own: a histogram, later where its share of each\n\
             // segment goes.",
            words(select_words(cx)),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arch;
    use crate::cuda::{Tiles, sources::Native};

    #[test]
    fn a_number_by_warpgroups_reads_as_it_is_evaluated() {
        let table = ByWarpgroups(&[(3, 112), (2, 160), (0, 224)]);
        assert_eq!(table.text(), "(WARPGROUPS > 3 ? 112 : WARPGROUPS > 2 ? 160 : 224)");
        assert_eq!([2, 3, 4].map(|warpgroups| table.of(warpgroups)), [224, 160, 112]);
    }

    #[test]
    fn pieces_lie_one_after_the_other() {
        let words = Words::new(&[("A", 3), ("B", 5), ("C", 0)]);
        assert_eq!((&words.starts[..], words.bytes()), (&[("A", 0), ("B", 3), ("C", 8)][..], 32));
    }

    #[test]
    fn no_template_defines_what_the_header_does() {
        let tiles = Tiles::portable(&Spec::DEFAULT, None);
        let native = Native::of(&Spec::DEFAULT, Arch::Sm90a, &tiles);
        for (_, defines) in sections(&Cx { spec: &Spec::DEFAULT, tiles: &tiles, native }) {
            for (name, _) in defines {
                for (path, text) in proxyattn_templates::FILES {
                    assert!(!text.contains(&format!("#define {name} ")), "{path} defines {name}, too");
                }
            }
        }
    }
}
