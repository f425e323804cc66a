//! What the examples share: captured inputs, exact attention mass, pictures, a progress bar, how a program ends.
//!
//! Figures of the examples rest on [`keys`] and [`mass`], so these share no code with the backends they measure.

#![deny(missing_docs)]

pub mod chart;
pub mod frontier;
pub mod input;
pub mod keys;
pub mod mass;
pub mod program;
pub mod progress;

pub use proxyattn_runtime::TokenCount;
