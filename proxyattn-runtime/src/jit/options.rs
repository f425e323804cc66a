//! How a [`Jit`](super::Jit) is set up.

use super::Env;
use std::path::PathBuf;
use std::time::Duration;

/// Longer than any of these kernels takes to compile, so that waiting any longer is in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is `None` is left to the environment ([`env`](super::env) lists its variables).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JitOptions {
    /// The NVRTC library, or its directory; no other is tried.
    pub nvrtc: Option<PathBuf>,
    /// The cache's directory. It is made with mode 0700, or must be writable by its owner alone.
    pub cache_dir: Option<PathBuf>,
    /// A directory of cubins that were compiled ahead of time ([`Aot`](super::Aot)).
    pub aot_dir: Option<PathBuf>,
    /// The cache's size in bytes.
    pub cache_bytes: Option<u64>,
    /// Whether a kernel that is not stored may be compiled.
    pub compile: Option<bool>,
    /// How long to wait for another process that compiles the same kernel, before doing so as well. Zero for not at all.
    pub patience: Duration,
    /// The environment: this process's, unless a test makes one up.
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
