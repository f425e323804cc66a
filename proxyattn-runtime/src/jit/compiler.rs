//! The interface between the cache and a compiler. NVRTC implements it; tests use their own.

use super::{Cubin, Program, Target};
use crate::Result;

/// Compiles programs to cubins.
pub trait Compiler: Send + Sync {
    /// Everything besides the source that determines the result.
    ///
    /// # Errors
    /// There is no compiler, or it does not accept this program or support this target.
    fn invocation(&self, program: &Program, target: Target) -> Result<Invocation>;

    /// Compiles. May be called from several threads at once.
    ///
    /// # Errors
    /// Those of [`invocation`](Self::invocation), and errors in the source.
    fn compile(&self, program: &Program, target: Target) -> Result<Cubin>;
}

/// The compiler and its options, which are part of the cache key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The compiler with its version and build.
    pub compiler: String,
    /// Every option, in order.
    pub options: Vec<String>,
}
