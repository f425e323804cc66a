//! Tuning records and their text form.
//!
//! ```text
//! {"checksum":"<BLAKE3 of the record's text, 64 digits>","record":{…}}
//! ```

use super::Bucket;
use crate::Problem;
use proxyattn_codegen::cuda::{Module, UnitId, candidates, tunable};
use proxyattn_codegen::{Arch, Spec};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The GPU and the software that kernels were measured on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The GPU's name, as reported by the driver.
    pub gpu: String,
    /// Its multiprocessors.
    pub multiprocessors: u64,
    /// The driver: the CUDA version that it supports and, on Linux, its own version.
    pub driver: String,
    /// The compiler's version and build.
    pub nvrtc: String,
}

/// What a record is valid for: everything except the shape that determines the candidate tiles and their speed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The machine.
    pub machine: Machine,
    /// BLAKE3 of the configuration and of the kernels' text, in hexadecimal.
    pub spec: String,
    /// BLAKE3 of the candidates, in hexadecimal.
    pub candidates: String,
}

impl Scope {
    /// The scope of a configuration's kernels for one family; `module` is their text, with the default tiles.
    pub fn of(machine: Machine, spec: &Spec, arch: Arch, module: &Module) -> Self {
        let mut text = format!("{spec:?}\n{arch}\n");
        for unit in &module.units {
            text.push_str(&unit.source());
        }
        let mut choices = String::new();
        for unit in tunable(spec, arch) {
            let _ = writeln!(choices, "{unit} {:?}", candidates(spec, arch, unit));
        }
        let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
        Self { machine, spec: hash(&text), candidates: hash(&choices) }
    }

    /// Why a record of this scope cannot be used in another; `None` if it can. A reviewed record may come from another
    /// driver and NVRTC.
    pub fn differs(&self, other: &Scope, reviewed: bool) -> Option<String> {
        let (mine, theirs) = (&self.machine, &other.machine);
        let multiprocessors = [mine, theirs].map(|machine| machine.multiprocessors.to_string());
        let fields = [
            ("spec", &self.spec, &other.spec, true),
            ("candidates", &self.candidates, &other.candidates, true),
            ("GPU", &mine.gpu, &theirs.gpu, true),
            ("multiprocessors", &multiprocessors[0], &multiprocessors[1], true),
            ("driver", &mine.driver, &theirs.driver, !reviewed),
            ("NVRTC", &mine.nvrtc, &theirs.nvrtc, !reviewed),
        ];
        let (name, mine, theirs, _) =
            fields.into_iter().find(|(_, mine, theirs, counts)| *counts && mine != theirs)?;
        Some(format!("made for {name} `{mine}`, not for `{theirs}`"))
    }
}

/// A constant of the kernels' text, and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The macro.
    pub name: String,
    /// Its value.
    pub value: u32,
}

impl core::fmt::Display for Constant {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// A candidate's constants, owned.
pub(crate) fn constants(choice: &[(&'static str, u32)]) -> Vec<Constant> {
    choice.iter().map(|&(name, value)| Constant { name: name.into(), value }).collect()
}

/// The outcome for one choice of tiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Outcome {
    /// It won, and is used from now on.
    Won,
    /// It was still running when the search ended, but did not win.
    Lost,
    /// It was dropped because others were faster.
    Eliminated {
        /// The round, counted from 0.
        round: usize,
    },
    /// It does not fit this GPU or these heads, does not compile, or cannot be launched.
    Failed {
        /// Why.
        why: String,
    },
    /// Its output differs from that of the default tiles.
    Wrong {
        /// By how much.
        why: String,
    },
}

/// One choice of tiles, and every measured time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The constants that differ from the default tiles; empty for the default tiles.
    pub constants: Vec<Constant>,
    /// Milliseconds of each launch, for each round.
    pub rounds: Vec<Vec<f32>>,
    /// The outcome.
    pub outcome: Outcome,
}

/// The fastest tiles of one unit in one bucket, with all measurements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What it is valid for.
    pub scope: Scope,
    /// The configuration as arguments of the attribute ([`Spec::attribute`](proxyattn_codegen::Spec::attribute)). For
    /// information only: `scope` decides.
    pub attribute: String,
    /// The family of kernels: `sm_80` or `sm_90a`.
    pub arch: String,
    /// The translation unit.
    #[serde(with = "super::unit")]
    pub unit: UnitId,
    /// The problems that it applies to.
    pub bucket: Bucket,
    /// The problem that was measured.
    pub problem: Problem,
    /// Median of the default tiles in the last round, in milliseconds.
    pub default_ms: f32,
    /// Median of the winner in the last round, in milliseconds.
    pub winner_ms: f32,
    /// The winner's constants; empty if the default tiles won.
    pub winner: Vec<Constant>,
    /// Everything that was measured, the default tiles first.
    pub measurements: Vec<Measurement>,
}

const OPEN: &str = "{\"checksum\":\"";
const BETWEEN: &str = "\",\"record\":";
const DIGITS: usize = 64;

impl Record {
    /// The line of a file, including the line break, as in a [`Store`](super::Store) and in the shipped files.
    ///
    /// # Errors
    /// A time that is not finite, which JSON cannot represent.
    pub fn line(&self) -> Result<String, String> {
        let finite = |ms: &f32| ms.is_finite();
        let times = self.measurements.iter().flat_map(|measurement| measurement.rounds.iter().flatten());
        if !times.chain([&self.default_ms, &self.winner_ms]).all(finite) {
            return Err("expected finite times".into());
        }
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let checksum = blake3::hash(text.as_bytes()).to_hex();
        Ok(format!("{OPEN}{checksum}{BETWEEN}{text}}}\n"))
    }

    /// Reads a line without its line break, or says what is wrong with it.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let torn = || "expected a checksum and a record, got a torn or foreign line".to_owned();
        let rest = line.strip_prefix(OPEN).ok_or_else(torn)?;
        let (checksum, rest) = rest.split_at_checked(DIGITS).ok_or_else(torn)?;
        let text = rest.strip_prefix(BETWEEN).and_then(|rest| rest.strip_suffix('}')).ok_or_else(torn)?;
        let found = blake3::hash(text.as_bytes()).to_hex();
        if found.as_str() != checksum {
            return Err(format!("its checksum is {found:.8}…, expected {checksum:.8}…: it was modified"));
        }
        let record: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if !record.bucket.exists() {
            return Err(format!("there is no bucket of {}", record.bucket));
        }
        Ok(record)
    }
}
