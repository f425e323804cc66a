//! What a `proxyattn` kernel is, before any device is involved.
//!
//! ```text
//! attribute tokens ──proxyattn-macros──▶ Spec ──rules──▶ Violation { key, … }  (the macro points at the key)
//!                                         │
//!                                         └──▶ constants of the expansion, and every backend's configuration
//! ```
//!
//! A configuration is a few choices. Each is an enum that is matched in one place, and each value has a folder of
//! one name here, among the templates and in the backends:
//!
//! ```text
//! spec/        what is chosen: Spec, its rules and keys, as an attribute
//! syntax/      how the attribute spells a choice, as data that each kind states in its folder
//! abi/         what a kernel takes, as types
//! geometry/    the shape of one call
//! kinds.rs     every kind of every choice: the one list of them
//! arch/        GPU families, and the tiles that their kernels take
//! scorer/      how blocks are scored                      each adds its Part of the pipeline: kernels, buffers,
//! budget/      how many of them a head visits             sections and constants
//! select/      from scores and counts to lists
//! attend/      attention over the lists, or dense
//! pipeline.rs  the stages of one configuration, in order: what the parts add up to
//! text.rs      the opening comment and the constants of a text; template.rs expands the rest
//! candidates.rs  tiles that a tuner may choose between
//! cuda.rs      all of that from outside: Module, Unit, emit
//! ```
//!
//! The crate is pure: no I/O, no device, no third-party dependency. It runs inside the compiler (through
//! the macro) and inside the runtime, and both see the same [`Spec`] judged by the same [`RULES`].

#![deny(missing_docs)]

#[macro_use]
mod kinds;
#[macro_use]
mod named;
#[macro_use]
pub mod syntax;
mod abi;
mod arch;
mod attend;
mod budget;
mod candidates;
pub mod cuda;
mod geometry;
mod pipeline;
mod scorer;
mod select;
mod spec;
mod template;
mod text;

pub use abi::Stage;
pub use arch::{Arch, ArchFacts, ArchSet};
pub use budget::*;
pub use scorer::*;
pub use spec::{Block, Dtype, Keep, Key, RULES, Rule, Share, Spec, Stride, Violation};
