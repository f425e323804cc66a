//! The scorer `proxy`: mean queries and keys of the groups, and one pass of the ones over the others.

mod e4m3;
mod pool;
mod score;
mod sums;

pub(super) use pool::Proxies;
