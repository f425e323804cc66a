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
mod mode;
mod record;
mod report;
mod rounds;
mod shipped;
mod store;
mod unit;

pub use bucket::Bucket;
pub use mode::Tune;
pub use record::{Constant, Machine, Measurement, Outcome, Record, Scope};
pub use report::{Choice, Progress, Remeasured, Source, TuneReport, Tuned};
pub use shipped::shipped;
pub use store::{Found, Store};

pub(crate) use record::constants;
pub(crate) use rounds::{Trial, compare, search};
