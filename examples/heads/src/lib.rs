//! How alike the heads of a layer look at a context, and how many proxy heads that allows.
#![deny(missing_docs)]

mod curves;
mod error;
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
pub use layer::{Layer, Specialist};
pub use options::Options;
pub use overlap::{Agreement, Overlap};
pub use report::{Recommendation, Report, SCHEMA};
