//! The tuner: chooses the tiles that a configuration runs with on a GPU.
//!
//! ```text
//! load ─▶ store.rs: this machine's records ─┐
//!      ─▶ shipped.rs: reviewed ones         ├─▶ nearest bucket ─▶ variants, loaded once ─▶ launches
//!      ─▶ else the default tiles           ─┘
//! tune ─▶ candidates ─▶ compile, check against the default's output ─▶ rounds.rs ─▶ record.rs ─▶ store.rs
//! ```
//!
//! * The configuration never changes: a record holds values of constants that the kernels' text leaves open.
//! * Measuring is explicit ([`Attention::tune`](crate::Attention::tune), [`Tune::Now`]) and never part of a request.
//! * A record is valid only for the [`Scope`] that it was made for: GPU, driver, NVRTC, configuration, candidates. A shipped
//!   record, which has been reviewed, may come from another driver and another NVRTC.
//! * Records are lines of JSON in `tune/` of the cache directory, each with a checksum. Torn or edited lines are rejected,
//!   reported, and measured again.
//! * Other tiles are other kernels: without NVRTC, or if compiling is not allowed, the default tiles run.
//! * Launches are chosen by [`Bucket`]: the length of the context, and the share of it that is visited. A bucket without a
//!   record uses the nearest one's tiles.

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
pub(crate) use rounds::{Trial, compare, search};

use crate::Result;
use crate::jit::Env;
use std::time::Duration;

/// Where the tiles of a kernel come from when it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// Always the default tiles.
    Off,
    /// This machine's record, else the shipped one, else the default tiles. Nothing is measured.
    #[default]
    Cached,
    /// Like [`Cached`](Self::Cached), but the given problems that have no record are measured first, for at most this long.
    Now(Duration),
}

impl Tune {
    /// The value of `PROXYATTN_TUNE`: `off` or `cached`, which is the default.
    ///
    /// # Errors
    /// [`Error::Environment`](crate::Error::Environment) for another value.
    pub fn from_env() -> Result<Self> {
        Env::process().tune()
    }
}
