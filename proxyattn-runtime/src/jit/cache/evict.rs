//! Keeps the cache within its size: the files that were used longest ago go first.

use super::list::{CacheFile, CacheFileKind, list};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A temporary file this old was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What may stay.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// Bytes of all files together.
    pub(super) bytes: u64,
    /// The time since a file was used.
    pub(super) age: Duration,
    /// The file just written, which stays whatever its size.
    pub(super) newest: Option<&'a Path>,
}

/// Deletes abandoned temporary files and those that are too old, then the least recently used of the rest until they
/// fit. Says which files went. Files that vanish meanwhile are someone else's eviction.
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
            break; // and so are all that follow: they were used later
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
