//! What is told of tuning, while it runs, afterwards, and when a kernel is loaded.

use super::{Bucket, Constant, Machine, Record};
use crate::Problem;
use proxyattn_codegen::cuda::UnitId;
use serde::Serialize;
use std::path::PathBuf;

/// What [`Attention::tune`](crate::Attention::tune) did.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TuneReport {
    /// Where it was measured.
    pub machine: Machine,
    /// What was measured, in that order.
    pub tuned: Vec<Record>,
    /// Units and buckets whose time did not come before the limit.
    #[serde(serialize_with = "super::unit::pairs")]
    pub skipped: Vec<(UnitId, Bucket)>,
    /// Lines of the store that are not used, and why.
    pub refused: Vec<String>,
    /// The file that the records were added to; `None` where that was not possible.
    pub stored_in: Option<PathBuf>,
    /// Why it was not. The winners are used by this process all the same.
    pub store_trouble: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// What [`Attention::tune`](crate::Attention::tune) is doing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A unit's candidates are next.
    Unit {
        /// The translation unit.
        unit: UnitId,
        /// The problems that it is measured for.
        bucket: Bucket,
        /// How many there are, the default tiles included.
        candidates: usize,
    },
    /// So many candidates are compiled and loaded, or cannot be.
    Compiled {
        /// How many.
        done: usize,
    },
    /// A candidate gave the default tiles' output, and takes part; or it does not.
    Ready {
        /// Its constants; none for the default tiles.
        constants: &'a [Constant],
        /// How long compiling or finding it took.
        seconds: f64,
        /// Why it is out already.
        failed: Option<&'a str>,
    },
    /// A round is over.
    Round {
        /// Which one, counted from 0.
        round: usize,
        /// Candidates that go on.
        left: usize,
        /// The fastest one's median in milliseconds.
        best_ms: f32,
        /// The default tiles' median in milliseconds.
        default_ms: f32,
    },
    /// A unit's recorded tiles are launched in turns with the default ones.
    Again {
        /// The translation unit.
        unit: UnitId,
        /// The problems that it is measured for.
        bucket: Bucket,
    },
    /// A unit is done.
    Done {
        /// What will be stored.
        record: &'a Record,
    },
}

/// Where the tiles of a loaded kernel come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tuned {
    /// Every record in use.
    pub choices: Vec<Choice>,
    /// Records that are not used, and why.
    pub refused: Vec<String>,
}

/// A record in use. Buckets without one take the nearest.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// The translation unit.
    #[serde(with = "super::unit")]
    pub unit: UnitId,
    /// The problems that it speaks for.
    pub bucket: Bucket,
    /// The constants; none for the default tiles.
    pub constants: Vec<Constant>,
    /// Whose record it is.
    pub source: Source,
}

/// A unit whose record was put to the test again: its tiles and the default ones, launched in turns.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Remeasured {
    /// What was measured; its bucket is the record's, which is the nearest one to the problem.
    pub choice: Choice,
    /// The problem.
    pub problem: Problem,
    /// Median of the default tiles, in milliseconds.
    pub default_ms: f32,
    /// Median of the recorded ones.
    pub tuned_ms: f32,
}

impl Remeasured {
    /// Time with the recorded tiles over time with the default ones: below 1 they are faster.
    pub fn ratio(&self) -> f64 {
        f64::from(self.tuned_ms) / f64::from(self.default_ms)
    }
}

/// Who made a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This machine.
    Measured,
    /// The authors, on a GPU of the same name and size.
    Shipped,
}
