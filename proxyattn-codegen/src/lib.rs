//! What a `proxyattn` kernel is, before any device is involved.
//!
//! ```text
//! attribute tokens ──proxyattn-macros──▶ Spec ──rules──▶ Violation { key, … }  (the macro points at the key)
//!                                         │
//!                                         └──▶ constants of the expansion, and every backend's configuration
//! ```
//!
//! The crate is pure: no I/O, no device, no third-party dependency. It runs inside the compiler (through
//! the macro) and inside the runtime, and both see the same [`Spec`] judged by the same [`RULES`].

#![deny(missing_docs)]

#[macro_use]
mod named;
mod abi;
mod budget;
pub mod cuda;
mod key;
mod rules;
mod shape;
mod share;
mod spec;
mod stage;
mod written;

pub use budget::RowView;
pub use key::Key;
pub use rules::{RULES, Rule, Violation};
pub use share::Share;
pub use spec::{Arch, ArchSet, Block, Budget, Dtype, Keep, Rows, Scorer, Spec, Stride};
pub use stage::Stage;
