//! What the cache asks of a compiler. NVRTC is one; tests bring their own.

use super::{Cubin, Program, Target};
use crate::Result;

/// Makes cubins.
pub trait Compiler: Send + Sync {
    /// Everything beside the source that decides the result.
    ///
    /// # Errors
    /// There is no compiler, or it cannot take this program or make code for this target.
    fn invocation(&self, program: &Program, target: Target) -> Result<Invocation>;

    /// Compiles. May be called from several threads at once.
    ///
    /// # Errors
    /// As [`invocation`](Self::invocation), and when the source is refused.
    fn compile(&self, program: &Program, target: Target) -> Result<Cubin>;
}

/// What a compilation will be: part of the cache's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The compiler with its version and build.
    pub compiler: String,
    /// Every option, in order.
    pub options: Vec<String>,
}
