//! Keeps the cache within its size: the least recently used files are deleted first.

use super::list::{CacheFile, CacheFileKind, list};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A temporary file of this age was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What may be kept.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// Total bytes.
    pub(super) bytes: u64,
    /// Time since the last use.
    pub(super) age: Duration,
    /// The file just written, which is kept regardless of its size.
    pub(super) newest: Option<&'a Path>,
}

/// Deletes abandoned temporary files and files that are too old, then the least recently used of the rest until they fit.
/// Returns the deleted files. Files that disappear meanwhile were evicted by another process.
pub(super) fn evict(root: &Path, limits: Limits<'_>) -> io::Result<Vec<CacheFile>> {
    let (temporary, mut files): (Vec<_>, Vec<_>) =
        list(root)?.into_iter().partition(|file| file.kind == CacheFileKind::Temporary);
    let mut evicted = Vec::new();
    for file in temporary {
        if file.used.elapsed().is_ok_and(|age| age > ABANDONED) && fs::remove_file(&file.path).is_ok() {
            evicted.push(file);
        }
    }
    let mut total = files.iter().map(|file| file.bytes).sum::<u64>();
    files.retain(|file| Some(file.path.as_path()) != limits.newest);
    files.sort_by_key(|file| file.used);
    for file in files {
        let old = file.used.elapsed().is_ok_and(|age| age > limits.age);
        if total <= limits.bytes && !old {
            break; // the files that follow were used more recently
        }
        total -= file.bytes;
        match fs::remove_file(&file.path) {
            Ok(()) => evicted.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(evicted)
}
