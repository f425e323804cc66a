//! What a kernel takes, as types. A launcher matches on them and the text prints their names, so that the two cannot
//! disagree, and the compiler names what a new value lacks.
//!
//! ```text
//! kernel.rs   Kernel: which one it is, its fields at their offsets, threads, shared memory, grid
//! field.rs    Field: a tensor map, an address, a stride or a number, and of what
//! scratch.rs  Scratch: a buffer between kernels; Buffer: its dimensions in one configuration
//! size.rs     Scalar: a number that follows from the shape; Macro: a constant of the text; Size: either
//! expr.rs     Expr: a grid or a size, evaluated for the launch and printed for the reader
//! stage.rs    Stage: the part of a prefill that a kernel belongs to
//! build.rs    the words in which a launch table is written
//! ```

pub(crate) mod build;
mod expr;
mod field;
mod kernel;
mod scratch;
mod size;
mod stage;

pub use expr::Expr;
pub use field::{Access, Axis, Field, Keys, Operand, Tensor};
pub use kernel::{Kernel, KernelId, Param, UnitId};
pub use scratch::{Buffer, Elem, Scratch};
pub use size::{Macro, Scalar, Size};
pub use stage::Stage;
