//! The content-addressed cache of cubins on disk.
//!
//! ```text
//! get: read ─▶ header, key, length, checksum ─▶ hit          put: encode ─▶ temporary file ─▶ rename ─▶ evict
//!               └─ damaged: deleted, a miss
//! ```
//!
//! * An entry's name is its [`Key`], a hash of everything that determines its contents. Entries are never modified.
//! * **No failure here fails a request.** If the directory cannot be created or trusted, the disk is full or a file is torn,
//!   the failure is counted, the first is kept, the first of each kind is logged as a warning, and the kernel is compiled as
//!   if there were no cache.
//! * `ahead.rs` reads the same entries under keys without a compiler; `dir.rs` is for inspection of either.
//! * Correctness does not depend on the lock: without it processes compile the same kernel twice, and the last rename wins.

mod ahead;
mod counters;
mod dir;
mod entry;
mod evict;
mod key;
mod list;
mod lock;
mod root;
mod store;

pub use ahead::Aot;
pub use counters::Counters;
pub(super) use counters::Tally;
pub use dir::CacheDir;
pub(super) use key::Key;
pub use list::{CacheFile, CacheFileKind};
pub(crate) use lock::acquire;
pub(crate) use root::{Access, create};
pub(crate) use store::publish;

use super::{Cubin, env};
use crate::once;
use evict::Limits;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What to do about an unusable directory.
fn advice() -> String {
    format!("set {} to a writable directory that this user owns", env::CACHE_DIR)
}

/// The cache on disk.
pub(super) struct Cache {
    dir: Option<PathBuf>,
    limit: u64,
    patience: Duration,
    /// Opened on first use, so that a process that never compiles creates no directory.
    root: OnceLock<Option<PathBuf>>,
    /// Bytes that this process wrote since its last eviction.
    written: AtomicU64,
    /// Whether waiting for a lock has timed out.
    timed_out: AtomicBool,
    trouble: Mutex<Option<String>>,
    pub(super) tally: Tally,
}

impl Cache {
    pub(super) fn new(dir: Option<PathBuf>, limit: u64, patience: Duration) -> Self {
        Self {
            dir,
            limit,
            patience,
            root: OnceLock::new(),
            // The first write evicts too; otherwise short-lived processes never would.
            written: AtomicU64::new(limit / 16),
            timed_out: AtomicBool::new(false),
            trouble: Mutex::new(None),
            tally: Tally::default(),
        }
    }

    /// The directory, if there is one and it can be trusted.
    pub(super) fn root(&self) -> Option<&Path> {
        let open = || {
            let Some(dir) = &self.dir else {
                let unset = "PROXYATTN_CACHE_DIR, XDG_CACHE_HOME and HOME are unset";
                let what = format!("no cache on disk, so every process recompiles: {unset}; {}", advice());
                self.remember("using", what);
                return None;
            };
            let root = root::open(dir);
            root.map_err(|why| {
                self.tally.io_errors.add(1);
                self.remember(
                    "using",
                    format!("no cache on disk, so every process recompiles: {why}; {}", advice()),
                );
            })
            .ok()
        };
        self.root.get_or_init(open).as_deref()
    }

    /// The first failure.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn get(&self, key: &Key) -> Option<Cubin> {
        let path = store::entry_path(self.root()?, key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.soft("reading", &path, &error);
                return None;
            }
        };
        match entry::decode(key, &bytes) {
            Ok(cubin) => {
                store::touch(&path);
                Some(cubin)
            }
            Err(corrupt) => {
                self.tally.corrupt.add(1);
                self.remember(&key.to_string(), format!("deleted `{}`: {corrupt}", path.display()));
                self.delete(&path);
                None
            }
        }
    }

    pub(super) fn put(&self, key: &Key, cubin: &Cubin) {
        let Some(root) = self.root() else { return };
        let path = store::entry_path(root, key);
        let bytes = entry::encode(key, cubin);
        if let Err(error) = store::publish(&path, &bytes, Access::Owner) {
            return self.soft("writing", &path, &error);
        }
        let written = self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        if written >= self.limit / 16 {
            self.written.store(0, Ordering::Relaxed);
            let limits = Limits { bytes: self.limit, age: Duration::MAX, newest: Some(&path) };
            match evict::evict(root, limits) {
                Ok(evicted) => self.tally.evicted.add(evicted.len() as u64),
                Err(error) => self.soft("evicting from", root, &error),
            }
        }
    }

    pub(super) fn remove(&self, key: &Key) {
        if let Some(root) = self.root() {
            self.delete(&store::entry_path(root, key));
        }
    }

    /// Waits, up to the limit, for another process that compiles this key. After one timeout this process never waits again.
    /// Without the lock it compiles anyway.
    pub(super) fn lock(&self, key: &Key) -> Option<impl Sized> {
        let path = store::lock_path(self.root()?, key);
        let patience = if self.timed_out.load(Ordering::Relaxed) { Duration::ZERO } else { self.patience };
        let locked = path
            .parent()
            .map_or(Ok(()), |dir| root::create(dir, Access::Owner))
            .and_then(|()| lock::acquire(&path, patience));
        match locked {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => {
                self.timed_out.store(true, Ordering::Relaxed);
                let holder = lock::holder(&path);
                tracing::warn!(target: "proxyattn", "`{}` is held by {holder}: compiling without the lock", path.display());
                None
            }
            Err(error) => {
                self.soft("locking", &path, &error);
                None
            }
        }
    }

    /// Saves a source that did not compile, for inspection.
    pub(super) fn keep_source(&self, key: &Key, program: &str, source: &str) -> Option<PathBuf> {
        let path = store::source_path(self.root()?, key, program);
        match store::publish(&path, source.as_bytes(), Access::Owner) {
            Ok(()) => Some(path),
            Err(error) => {
                self.soft("writing", &path, &error);
                None
            }
        }
    }

    fn delete(&self, path: &Path) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.soft("deleting", path, &error),
            _ => {}
        }
    }

    fn soft(&self, doing: &str, path: &Path, error: &dyn Display) {
        self.tally.io_errors.add(1);
        self.remember(doing, format!("{doing} `{}`: {error}", path.display()));
    }

    /// Keeps the first failure, and logs a warning for the first of each kind in this process and directory.
    pub(super) fn remember(&self, kind: &str, what: String) {
        let dir = self.dir.as_deref().unwrap_or(Path::new("")).display();
        once::warn(format!("cache {kind} {dir}"), &format_args!("cubin cache: {what}"));
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }
}
