//! The tuner without a GPU: what it may choose, how it chooses, and what it remembers.

#[path = "tune/candidates.rs"]
mod candidates;
#[path = "tune/records.rs"]
mod records;
#[path = "tune/shipped.rs"]
mod shipped;
#[path = "tune/store.rs"]
mod store;
