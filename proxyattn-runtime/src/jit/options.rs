//! The options of a [`Jit`](super::Jit).

use super::Env;
use std::path::PathBuf;
use std::time::Duration;

/// Longer than any kernel takes to compile, so waiting longer is pointless.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fields that are `None` are taken from the environment ([`env`](super::env) lists the variables).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JitOptions {
    /// The NVRTC library or its directory; no other location is tried.
    pub nvrtc: Option<PathBuf>,
    /// The cache's directory. It is created with mode 0700; an existing one must be writable by its owner only.
    pub cache_dir: Option<PathBuf>,
    /// A directory of cubins compiled ahead of time ([`Aot`](super::Aot)).
    pub aot_dir: Option<PathBuf>,
    /// The cache's size in bytes.
    pub cache_bytes: Option<u64>,
    /// Whether a kernel that is not stored may be compiled.
    pub compile: Option<bool>,
    /// How long to wait for another process that compiles the same kernel before compiling it here too. Zero: do not wait.
    pub patience: Duration,
    /// The environment; tests pass their own.
    pub env: Env,
}

impl Default for JitOptions {
    fn default() -> Self {
        Self {
            nvrtc: None,
            cache_dir: None,
            aot_dir: None,
            cache_bytes: None,
            compile: None,
            patience: PATIENCE,
            env: Env::process(),
        }
    }
}
