//! Accuracy on retrieval tasks over long contexts.
//!
//! ```text
//! EvalSet ─▶ Context ─▶ ask: one prefill, then each question at its end ─▶ shares of items right
//!                          └─ Recall: how much of the true attention the visited blocks hold
//! ```

mod ask;
mod recall;
mod set;

pub use ask::{Asked, Deadline, ask};
pub use recall::Recall;
pub use set::{Context, EvalSet, Question, TASKS};
