//! How alike the heads of a layer look at a context, and how many proxy heads that allows.
//!
//! All heads of a group take their blocks from one ranking, that of the group's proxy head. Where heads look for the
//! same tokens this costs nothing; a head that looks elsewhere is served badly. [`Report`] measures both on the queries
//! and keys of real layers, and says which `groups` to write.
//!
//! # What is measured
//!
//! *Rows* of 64 query tokens, as kernels select for them: [`rows`](Options::rows) of them (64), evenly spread over the
//! last three quarters of the context, the last included. Before that a tenth of the blocks is hardly more than what
//! every list keeps anyway.
//!
//! *Overlap* ([`Overlap`]) of two heads: `|A ∩ B| / k`, with `A` and `B` the [`top`](Options::top) tokens (64) of
//! largest attention of the last query of a row, averaged over rows. *Far* tokens are those outside of the first block
//! and of the query's last [`window`](Options::window) tokens (64), where all heads agree without anything in common.
//!
//! *Curves* ([`Curves`]): exact attention mass of a row (softmax over all keys, averaged over its 64 queries) inside the
//! first blocks of a list. The list is ordered by that mass itself (`best`), by the head's own scores (`own`), by the
//! scores of the proxy of its KV head (`kv_head`) or of one proxy for all heads (`shared`). Scores are those of the
//! kernels: mean of the heads' queries against mean of their keys, every fourth query and every key, softmax, maximum over
//! the tile. Sink and diagonal come first, as kernels keep them.
//!
//! *Regret* ([`Regret`]) of a number of proxies: mass in the order of the head's own scores less mass in the order of
//! its proxy, with [`keep`](Options::keep) (a tenth) of the blocks. Against its own scores rather than the best order,
//! because what the scorer loses is lost with any number of proxies.
//!
//! *The choice* ([`Recommendation`]): of the divisors of the KV heads, the smallest whose regret, at its 95th percentile
//! over rows and heads, is at most [`regret`](Options::regret) (0.05): nineteen lists in twenty lose no more than that.
//! *Specialists* are heads whose mean regret exceeds it even with one proxy per KV head.
#![deny(missing_docs)]

mod curves;
mod error;
mod flags;
mod input;
mod layer;
mod options;
mod overlap;
mod picture;
mod proxy;
mod report;
mod stats;
mod text;

pub use curves::{Curves, Regret};
pub use error::{Error, Result};
pub use flags::Flags;
pub use layer::{Layer, Specialist};
pub use options::Options;
pub use overlap::{Agreement, Overlap};
pub use report::{Recommendation, Report, SCHEMA};
