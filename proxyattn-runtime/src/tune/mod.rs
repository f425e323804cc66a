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
pub(crate) use rounds::{Lane, contest, duel};
