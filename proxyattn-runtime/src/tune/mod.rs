//! Which tiles a GPU runs a configuration with.
//!
//! ```text
//! load ─▶ store.rs: this machine's records ─┐
//!      ─▶ shipped.rs: reviewed ones         ├─▶ nearest bucket ─▶ variants, loaded once ─▶ launches
//!      ─▶ else the default tiles           ─┘
//! tune ─▶ candidates ─▶ compile, check against the default's output ─▶ rounds.rs ─▶ record.rs ─▶ store.rs
//! ```
//!
//! * The configuration is never changed: a record holds values of constants that the kernels' text leaves open.
//! * Measuring is asked for ([`Attention::tune`](crate::Attention::tune), [`Tune::Now`]) and never part of a request.
//! * A record counts for exactly the [`Scope`] that it was made for: GPU, driver, NVRTC, configuration, candidates. A
//!   shipped record, which somebody has reviewed, may come from another driver and another NVRTC.
//! * Records are lines of JSON in `tune/` of the cache directory, each with a checksum. What is torn or edited is
//!   refused, told, and measured again.
//! * Other tiles are other kernels: where neither NVRTC nor leave to compile is, the default ones run.
//! * Launches are chosen by [`Bucket`]: the length of the context, and how much of it is visited. A bucket without a
//!   record takes the nearest one's tiles.

mod bucket;
mod record;
mod report;
mod rounds;
mod shipped;
mod store;
mod unit;

pub use bucket::Bucket;
pub use record::{Constant, Machine, Measurement, Outcome, Record, Scope};
pub use report::{Choice, Progress, Remeasured, Source, TuneReport, Tuned};
pub use shipped::shipped;
pub use store::{Found, Store};

pub(crate) use record::constants;
pub(crate) use rounds::{Lane, contest, duel};

use crate::Result;
use crate::jit::Env;
use std::time::Duration;

/// Where the tiles of a kernel come from when it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// The default tiles, whatever was measured.
    Off,
    /// This machine's record, else the shipped one, else the default tiles. Nothing is measured.
    #[default]
    Cached,
    /// As [`Cached`](Self::Cached); what the given problems have no record for is measured first, for at most this long.
    Now(Duration),
}

impl Tune {
    /// What `PROXYATTN_TUNE` says: `off`, or `cached`, which is also what it means when it is unset.
    ///
    /// # Errors
    /// [`Error::Environment`](crate::Error::Environment) if it says something else.
    pub fn from_env() -> Result<Self> {
        Env::process().tune()
    }
}
