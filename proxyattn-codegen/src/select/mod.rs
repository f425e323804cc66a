//! Lists: what each count keeps of a group's ranking.

use crate::Arch;
use crate::abi::build::{clear, lay_out, number, numbers, read, write};
use crate::abi::{Buffer, Field, Kernel, KernelId, Scalar, Scratch, Size, UnitId};
use crate::pipeline::{Cx, Part, Words};

/// Templates by which a row's blocks are ranked ...
pub(crate) const RANKS: &[&str] = &[
    "geometry/sequence.cuh",
    "geometry/samples.cuh",
    "geometry/diagonal.cuh",
    "select/rows.cuh",
    "select/ranks.cuh",
];
/// ... and the fields that they read ...
pub(crate) fn ranked_by() -> [Scratch; 3] {
    [Scratch::Maxima, Scratch::Floors, Scratch::Lse]
}
pub(crate) fn ranked_over(cx: &Cx<'_>) -> Vec<Field> {
    use Scalar::{Blocks, Groups, HeadsPerGroup, KvLen, QLen, Rows, SegmentKeys, Segments};
    let mut fields: Vec<_> = numbers([QLen, KvLen, Rows, Blocks, Groups, HeadsPerGroup]).collect();
    if cx.segments() {
        fields.extend(numbers([Segments, SegmentKeys]));
    }
    fields
}

/// How `select` ends lists by the scores of their blocks, and counts these itself.
pub(crate) struct ByScore {
    /// The template of the kernel.
    pub(crate) file: &'static str,
    /// Words of its shared memory beside levels, sums and ranks.
    pub(crate) words: &'static [(&'static str, u32)],
    /// What lies in it, in a line.
    pub(crate) memory: &'static str,
}

/// Templates that stand behind the budget's `wanted_blocks`.
const AFTER: &[&str] = &["select/ranking.cuh", "select/select.cuh"];

const SELECT_THREADS: u32 = 128;
/// Warps of a CTA of `select`.
pub(crate) const WARPS: u32 = SELECT_THREADS / 32;
/// Steps of a unit of log2 in which scores are compared, as `select/ranks.cuh` has them.
pub(crate) const STEPS_PER_LOG2: u32 = 4096;
/// Values of the first digit of a rank.
const DIGITS: u32 = 256;
/// Heads of a group, and so cuts of its ranking, that `select` has room for.
const MAX_CUTS: u32 = 256;
const _: () = assert!(MAX_CUTS >= DIGITS, "a warp's words in `select` hold either");
/// Segments of keys whose levels `select` holds at a time: a multiple of four.
const LEVEL_SEGMENTS: u32 = 16;

/// Query heads of a group that kernels have room for.
pub const MAX_GROUP_HEADS: u64 = MAX_CUTS as u64;

pub(crate) fn part(cx: &Cx<'_>) -> Part {
    let numbers = [
        ("SELECT_THREADS", SELECT_THREADS),
        ("DIGITS", DIGITS),
        ("MAX_CUTS", MAX_CUTS),
        ("LEVEL_SEGMENTS", LEVEL_SEGMENTS),
    ];
    let (heading, memory) = match cx.spec.budget.contract(|budget| budget.by_score()) {
        Some(by_score) => ("Shared memory of select, in words.", by_score.memory),
        None => (
            "Shared memory of select, in words. A warp has words of its own: a histogram, later where its share of each\n\
             // segment goes.",
            "select:    words for a histogram, one a warp, the samples' levels, the cuts, and a rank for each block",
        ),
    };
    Part {
        kernels: vec![select(cx)],
        buffers: buffers(cx),
        sections: vec![("SAMPLES_BY_EIGHT", cx.samples_q().is_multiple_of(8))],
        shared: numbers.map(|(name, value)| (name, value.to_string())).into(),
        tables: vec![(heading, words(cx).defines())],
        memory: vec![(UnitId::Scoring, memory.into())],
        ..Part::default()
    }
}

fn select(cx: &Cx<'_>) -> Kernel {
    let mut fields: Vec<_> = ranked_by().map(read).into();
    fields.extend(cx.spec.budget.measures().map(|_| read(Scratch::Measured)));
    fields.extend(cx.spec.budget.of_layer().map(|of_layer| read(of_layer.scratch())));
    fields.extend([write(Scratch::Lists), write(Scratch::Counts)]);
    fields.extend(cx.spec.budget.differs_within_group().then(|| write(Scratch::Runs)));
    match cx.native.attend {
        Arch::Sm80 => {}
        Arch::Sm90a => fields.push(clear(Scratch::AttendTickets)),
    }
    fields.extend(ranked_over(cx));
    Kernel {
        id: KernelId::Select,
        unit: UnitId::Scoring,
        arch: Arch::Sm80,
        params: lay_out(fields),
        threads: SELECT_THREADS,
        shared: number(words(cx).bytes()) + number(4) * Scalar::Blocks,
        grid: [Scalar::Rows.into(), Scalar::Groups.into(), Scalar::Batch.into()],
        pack: 1,
        // As many CTAs as hide how they wait: left to itself, the compiler takes a few registers more.
        bounds: "SELECT_THREADS, 10",
        files: files(cx),
    }
}

fn files(cx: &Cx<'_>) -> Vec<&'static str> {
    cx.spec.budget.contract(|budget| match budget.by_score() {
        Some(by_score) => [RANKS, &[by_score.file]].concat(),
        None => [RANKS, budget.wanted_text(), AFTER].concat(),
    })
}

fn buffers(cx: &Cx<'_>) -> Vec<Buffer> {
    use Scalar::{Batch, Blocks, Groups, Heads, Rows};
    let buffer = |scratch, dims: &[Scalar], holds| {
        let dims = dims.iter().copied().map(Size::Scalar).collect();
        Buffer { scratch, dims, holds }
    };
    let mut buffers = vec![
        buffer(Scratch::Lists, &[Batch, Groups, Rows, Blocks], "blocks to visit"),
        buffer(Scratch::Counts, &[Batch, Heads, Rows], "how much of the group's list a head visits"),
    ];
    if cx.spec.budget.differs_within_group() {
        let holds = "length of the list's first ascending run: the smallest count";
        buffers.push(buffer(Scratch::Runs, &[Batch, Groups, Rows], holds));
    }
    buffers
}

/// Words for the levels and for the sums of a row's samples. By segments there is a level for each of some segments, and the
/// samples' sums.
pub(crate) fn sample_words(cx: &Cx<'_>) -> (u32, u32) {
    let (levels, sums) = if cx.segments() { (LEVEL_SEGMENTS, 1) } else { (1, 0) };
    let samples = cx.samples_q();
    ((levels * samples).next_multiple_of(4), (sums * samples).next_multiple_of(4))
}

/// Shared memory of `select`. Behind the beginning of the ranks lies one for each block.
fn words(cx: &Cx<'_>) -> Words {
    let (levels, sums) = sample_words(cx);
    if let Some(by_score) = cx.spec.budget.contract(|budget| budget.by_score()) {
        let samples = [("SELECT_LEVELS", levels), ("SELECT_LSE", sums)];
        return Words::new(&[&samples, by_score.words, &[("SELECT_RANKS", 0)]].concat());
    }
    Words::new(&[
        ("SELECT_HISTOGRAM", DIGITS),
        ("SELECT_OF_WARPS", SELECT_THREADS / 32 * MAX_CUTS),
        ("SELECT_LEVELS", levels),
        ("SELECT_LSE", sums),
        ("SELECT_COUNTS", MAX_CUTS),
        ("SELECT_CUTS", MAX_CUTS),
        ("SELECT_THRESHOLDS", MAX_CUTS),
        ("SELECT_BOUNDS", MAX_CUTS),
        ("SELECT_FOUND", 4),
        // Ranks are read by fours.
        ("SELECT_RANKS", 3),
    ])
}
