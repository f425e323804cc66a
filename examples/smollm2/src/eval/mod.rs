//! Accuracy on retrieval tasks over long contexts.
//!
//! ```text
//! EvalSet ─▶ Context ─▶ ask: one prefill, then each question at its end ─▶ shares of items right
//!                          └─ Recall: how much of the true attention the visited blocks hold
//!
//! Flags ─▶ Measure: every set by every method ─▶ Records, in a file ─▶ Summary
//! ```

mod ask;
mod flags;
mod measure;
mod needles;
mod recall;
mod records;
mod set;
mod summary;

pub use ask::{Asked, Deadline, ask};
pub use flags::Flags;
pub use measure::{Measure, Source};
pub use needles::needles;
pub use recall::Recall;
pub use records::{Record, Records};
pub use set::{Context, EvalSet, Question, TASKS};
pub use summary::Summary;
