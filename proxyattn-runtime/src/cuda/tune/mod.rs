//! Which tiles the kernels of a plan have, and measuring them.
//!
//! ```text
//! load   ─▶ records.rs: the records that apply ─▶ pipelines.rs: the kernels of each bucket ─▶ kernels.rs: those of a plan
//! tune   ─▶ tuner.rs: candidates, compared and timed on bench.rs ─▶ the store of crate::tune, and again records.rs
//! warmup ─▶ warmup.rs
//! ```

mod bench;
mod kernels;
mod pipelines;
mod records;
mod tuner;
mod warmup;

pub(crate) use kernels::TunedKernels;
pub(crate) use records::Recorded;
pub(crate) use tuner::Tuner;
pub(crate) use warmup::warm_up;
