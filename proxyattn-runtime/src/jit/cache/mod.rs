//! Cubins on disk, by content.
//!
//! ```text
//! get: read ─▶ header, key, length, checksum ─▶ hit          put: encode ─▶ temporary file ─▶ rename ─▶ evict
//!               └─ anything wrong: deleted, a miss
//! ```
//!
//! * An entry's name is the [`Key`]: everything that decides its bytes. Entries are never changed.
//! * **No failure here fails a request.** A directory that cannot be made or trusted, a full disk, a torn
//!   file: each is counted, the first is remembered, the first of each kind is a warning, and the kernel is compiled as
//!   if there were no cache.
//! * `ahead.rs` reads the same entries under names that hold no compiler; `dir.rs` lets people look at either.
//! * Nothing depends on the lock: without it processes compile the same thing twice, and the last rename wins.

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

/// What to do about a directory that is of no use.
fn advice() -> String {
    format!("set {} to a directory of this user's that can be written to", env::CACHE_DIR)
}

/// The cache on disk.
pub(super) struct Cache {
    dir: Option<PathBuf>,
    limit: u64,
    patience: Duration,
    /// Looked at on first use: a process that never compiles makes no directory.
    root: OnceLock<Option<PathBuf>>,
    /// Bytes that this process wrote since it last evicted.
    written: AtomicU64,
    /// Whether a lock was waited for in vain.
    in_vain: AtomicBool,
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
            // A process that writes a single entry evicts too, or short-lived ones never would.
            written: AtomicU64::new(limit / 16),
            in_vain: AtomicBool::new(false),
            trouble: Mutex::new(None),
            tally: Tally::default(),
        }
    }

    /// The directory, if there is one that can be trusted.
    pub(super) fn root(&self) -> Option<&Path> {
        let open = || {
            let Some(dir) = &self.dir else {
                let unset = "PROXYATTN_CACHE_DIR, XDG_CACHE_HOME and HOME are unset";
                let what = format!("no cache on disk, so every process compiles anew: {unset}; {}", advice());
                self.remember("using", what);
                return None;
            };
            let root = root::open(dir);
            root.map_err(|why| {
                self.tally.io_errors.add(1);
                self.remember(
                    "using",
                    format!("no cache on disk, so every process compiles anew: {why}; {}", advice()),
                );
            })
            .ok()
        };
        self.root.get_or_init(open).as_deref()
    }

    /// The first thing that went wrong.
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

    /// Waits for whoever compiles this key in another process, up to the limit; once that was in vain, for nobody any
    /// more. Whoever has no lock compiles all the same.
    pub(super) fn lock(&self, key: &Key) -> Option<impl Sized> {
        let path = store::lock_path(self.root()?, key);
        let patience = if self.in_vain.load(Ordering::Relaxed) { Duration::ZERO } else { self.patience };
        let locked = path
            .parent()
            .map_or(Ok(()), |dir| root::create(dir, Access::Owner))
            .and_then(|()| lock::acquire(&path, patience));
        match locked {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => {
                self.in_vain.store(true, Ordering::Relaxed);
                let holder = lock::holder(&path);
                tracing::warn!(target: "proxyattn", "`{}` is held by {holder}: compiling beside it", path.display());
                None
            }
            Err(error) => {
                self.soft("locking", &path, &error);
                None
            }
        }
    }

    /// Writes a source that did not compile where it can be read.
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

    /// Keeps the first trouble, and warns of the first of each kind in this process and directory.
    pub(super) fn remember(&self, kind: &str, what: String) {
        let dir = self.dir.as_deref().unwrap_or(Path::new("")).display();
        once::warn(format!("cache {kind} {dir}"), &format_args!("cubin cache: {what}"));
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }
}
