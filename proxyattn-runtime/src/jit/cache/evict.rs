//! Keeps the cache within its size: the files that were used longest ago go first.

use super::store::{FAILED, is_ours, is_temporary};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A temporary file this old was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

struct Stored {
    used: SystemTime,
    bytes: u64,
    path: PathBuf,
}

/// Deletes abandoned temporary files, then the least recently used of the rest until they fit into `limit`
/// bytes; `newest`, just written, stays. Says how many files went. Files that vanish meanwhile are someone
/// else's eviction.
pub(super) fn evict(root: &Path, limit: u64, newest: &Path) -> io::Result<u64> {
    let mut files = Vec::new();
    let mut evicted = 0;
    for dir in fs::read_dir(root)? {
        let dir = dir?;
        let shard = dir.file_name().to_string_lossy().into_owned();
        if shard.len() != 2 && shard != FAILED || !dir.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(dir.path())? {
            let file = file?;
            let Ok(meta) = file.metadata() else { continue };
            let (name, path, used) = (file.file_name(), file.path(), meta.modified()?);
            let Some(name) = name.to_str().filter(|_| meta.is_file()) else { continue };
            if is_temporary(name) {
                if used.elapsed().is_ok_and(|age| age > ABANDONED) && fs::remove_file(&path).is_ok() {
                    evicted += 1;
                }
            } else if is_ours(&shard, name) && path != newest {
                files.push(Stored { used, bytes: meta.len(), path });
            }
        }
    }
    let kept = fs::metadata(newest).map_or(0, |meta| meta.len());
    let mut total = files.iter().map(|file| file.bytes).sum::<u64>() + kept;
    files.sort_by_key(|file| file.used);
    for file in files {
        if total <= limit {
            break;
        }
        total -= file.bytes;
        match fs::remove_file(&file.path) {
            Ok(()) => evicted += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(evicted)
}
