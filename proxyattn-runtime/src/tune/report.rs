//! Reports of the tuner: progress while it runs, its results, and the records in use after a load.

use super::{Bucket, Constant, Machine, Record};
use crate::Problem;
use proxyattn_codegen::cuda::UnitId;
use serde::Serialize;
use std::path::PathBuf;

/// The result of [`Attention::tune`](crate::Attention::tune).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TuneReport {
    /// The machine that was measured.
    pub machine: Machine,
    /// The new records, in the order in which they were measured.
    pub tuned: Vec<Record>,
    /// Units and buckets that were not measured before the time limit.
    #[serde(serialize_with = "super::unit::pairs")]
    pub skipped: Vec<(UnitId, Bucket)>,
    /// Lines of the store that were rejected, and why.
    pub refused: Vec<String>,
    /// The file that the records were added to; `None` if they could not be stored.
    pub stored_in: Option<PathBuf>,
    /// Why the records could not be stored. This process uses the winners all the same.
    pub store_trouble: Option<String>,
    /// How long tuning took.
    pub seconds: f64,
}

/// The progress of [`Attention::tune`](crate::Attention::tune).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Tuning of a unit begins.
    Unit {
        /// The translation unit.
        unit: UnitId,
        /// The problems that it is measured for.
        bucket: Bucket,
        /// The number of candidates, including the default tiles.
        candidates: usize,
    },
    /// Candidates were compiled and loaded, or failed to.
    Compiled {
        /// How many so far.
        done: usize,
    },
    /// A candidate was checked against the output of the default tiles.
    Ready {
        /// Its constants; empty for the default tiles.
        constants: &'a [Constant],
        /// How long it took to compile or find the candidate.
        seconds: f64,
        /// Why the candidate was rejected, if it was.
        failed: Option<&'a str>,
    },
    /// A round is complete.
    Round {
        /// Its number, counted from 0.
        round: usize,
        /// The number of remaining candidates.
        left: usize,
        /// The fastest one's median in milliseconds.
        best_ms: f32,
        /// The default tiles' median in milliseconds.
        default_ms: f32,
    },
    /// A unit's recorded tiles are measured again, interleaved with the default ones.
    Again {
        /// The translation unit.
        unit: UnitId,
        /// The problems that it is measured for.
        bucket: Bucket,
    },
    /// A unit is done.
    Done {
        /// The record to be stored.
        record: &'a Record,
    },
}

/// Where the tiles of a loaded kernel come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tuned {
    /// Every record in use.
    pub choices: Vec<Choice>,
    /// Rejected records, and why.
    pub refused: Vec<String>,
}

/// A record in use. Buckets without a record use the nearest one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// The translation unit.
    #[serde(with = "super::unit")]
    pub unit: UnitId,
    /// The problems that it applies to.
    pub bucket: Bucket,
    /// The constants; empty for the default tiles.
    pub constants: Vec<Constant>,
    /// The origin of the record.
    pub source: Source,
}

/// A unit that was measured again: the recorded tiles and the default ones, with interleaved launches.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Remeasured {
    /// The record; its bucket is the one nearest to the problem.
    pub choice: Choice,
    /// The problem.
    pub problem: Problem,
    /// Median of the default tiles, in milliseconds.
    pub default_ms: f32,
    /// Median of the recorded ones.
    pub tuned_ms: f32,
}

impl Remeasured {
    /// Time with the recorded tiles divided by time with the default tiles; below 1 the recorded tiles are faster.
    pub fn ratio(&self) -> f64 {
        f64::from(self.tuned_ms) / f64::from(self.default_ms)
    }
}

/// The origin of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This machine.
    Measured,
    /// The authors, on a GPU of the same name and size.
    Shipped,
}
