//! Scorers and budgets against the public reference code of the papers that they are of.
//!
//! `golden/data` holds what functions of other repositories choose on a shared input, and `golden/README.md` where it is from.
//! For each paper a module says which configuration is the paper's method, and what differs by design.

#[path = "golden/flexprefill.rs"]
mod flexprefill;
#[path = "golden/inputs.rs"]
mod inputs;
#[path = "golden/minference.rs"]
mod minference;
#[path = "golden/moa.rs"]
mod moa;
#[path = "golden/moba.rs"]
mod moba;
#[path = "golden/sparse_frontier.rs"]
mod sparse_frontier;
#[path = "golden/sparsemm.rs"]
mod sparsemm;
#[path = "golden/verify.rs"]
mod verify;
#[path = "golden/xattention.rs"]
mod xattention;
