//! How similar the heads of a layer are on a context, and how many proxy heads that allows.
//!
//! All heads of a group share one ranking of blocks, that of the group's proxy head. If heads attend to the same tokens this
//! costs nothing; a head that attends elsewhere visits more blocks, or loses attention where their number is fixed. [`Report`]
//! measures all of this on the queries and keys of real layers, and recommends `groups`.
//!
//! # What is measured
//!
//! *Rows* of 64 query tokens, the unit of selection: [`rows`](Options::rows) of them (64), evenly spaced over the last three
//! quarters of the context, including the last row. Before that, a tenth of the blocks is hardly more than what every list
//! keeps anyway.
//!
//! *Overlap* ([`Overlap`]) of two heads: `|A ∩ B| / k`, with `A` and `B` the [`top`](Options::top) tokens (64) with the
//! largest attention of a row's last query, averaged over rows. *Far* tokens are those outside the first block and outside
//! the query's last [`window`](Options::window) tokens (64), where all heads agree regardless of their function.
//!
//! *Curves* ([`Curves`]): the exact attention mass of a row (softmax over all keys, averaged over its 64 queries) in the first
//! blocks of a list. The list is ordered by that mass itself (`best`), by the head's own scores (`own`), by the scores of the
//! proxy of its KV head (`kv_head`), or by those of one proxy for all heads (`shared`). Scores are computed as in the kernels:
//! mean of the heads' queries against mean of their keys, every fourth query and every key, softmax, maximum over the tile.
//! Sink and diagonal come first, because kernels always keep them.
//!
//! *Regret* ([`Regret`]) of a number of proxies: the mass in the order of the head's own scores minus the mass in the order of
//! its proxy, with [`keep`](Options::keep) (a tenth) of the blocks. The baseline is the head's own scores and not the best
//! order, because the scorer's own loss is the same for any number of proxies.
//!
//! *Visited* ([`Visited`]): the share of the blocks that the default budget visits with a number of proxies. It counts blocks
//! in the order of the proxy until they hold `gamma` of the head's mass, so that a bad order costs blocks and not attention.
//!
//! *The choice* ([`Recommendation`]): the smallest divisor of the KV heads that visits at most [`growth`](Options::growth)
//! (0.15) more blocks than one proxy per KV head. For flat budgets, whose lists cannot grow: the smallest divisor whose regret,
//! at the 95th percentile over rows and heads, is at most [`regret`](Options::regret) (0.05): nineteen lists in twenty lose no
//! more than that. *Specialists* are heads whose mean regret exceeds it even with one proxy per KV head.
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
mod visited;

pub use curves::{Curves, Regret};
pub use error::{Error, Result};
pub use flags::Flags;
pub use layer::{Layer, Specialist};
pub use options::Options;
pub use overlap::{Agreement, Overlap};
pub use picture::Drawing;
pub use report::{Recommendation, Report, SCHEMA};
pub use visited::Visited;
