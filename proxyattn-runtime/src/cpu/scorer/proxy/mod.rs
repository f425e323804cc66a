//! The scorer `proxy`: mean queries and keys of the groups, and one pass of the ones over the others.

mod pool;
mod score;

pub(super) use pool::Proxies;
