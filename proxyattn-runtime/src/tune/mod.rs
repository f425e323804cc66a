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
//!
//! # Examples
//!
//! ```no_run
//! use proxyattn::prelude::*;
//! use proxyattn::tune::{Bucket, Choice, Constant, Measurement, Outcome, Progress, Record, Remeasured};
//! use proxyattn::tune::{TuneReport, Tuned};
//! use std::time::Duration;
//!
//! #[proxy_attention]
//! struct Layer;
//!
//! let attention = Layer::load(&Device::cuda(0)?)?;
//! let problem = Problem { batch: 1, heads: 32, kv_heads: 8, q_len: 32 << 10, kv_len: 32 << 10 };
//!
//! // Measure, and say how far it is.
//! let report: TuneReport = attention.tune(&[problem], Duration::from_secs(120), &mut |progress| {
//!     if let Progress::Round { best_ms, default_ms, .. } = progress {
//!         println!("{best_ms} ms, {default_ms} ms with the default tiles");
//!     }
//! })?;
//! for Record { bucket: Bucket { tokens, density }, winner, measurements, .. } in &report.tuned {
//!     let won: Vec<_> = winner.iter().map(Constant::to_string).collect();
//!     let wrong = |one: &&Measurement| matches!(one.outcome, Outcome::Wrong { .. });
//!     println!("{tokens} tokens, {density}%: {won:?}; {} wrong", measurements.iter().filter(wrong).count());
//! }
//!
//! // What is in use, and whether it still pays.
//! let Tuned { choices, .. } = attention.tuned();
//! println!("{:?}", choices.iter().map(|choice: &Choice| choice.source).collect::<Vec<_>>());
//! let again: Vec<Remeasured> = attention.remeasure(&[problem], &mut |_| ())?;
//! println!("{:?}", again.iter().map(Remeasured::ratio).collect::<Vec<_>>());
//! # Ok::<(), proxyattn::Error>(())
//! ```
//!
//! The records that ship with the crate, and those of a cache directory:
//!
//! ```
//! use proxyattn::tune::{Found, Machine, Scope, Source, Store, shipped};
//!
//! let Found { records, refused } = shipped();
//! assert!(refused.is_empty());
//! let machines: Vec<&Machine> = records.iter().map(|record| &record.scope.machine).collect();
//! println!("{:?}: {machines:?}", Source::Shipped);
//!
//! let store = Store::new("target".as_ref());
//! if let Some(Scope { spec, .. }) = records.first().map(|record| &record.scope) {
//!     println!("{} of this machine", store.read(spec).records.len());
//! }
//! ```

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
