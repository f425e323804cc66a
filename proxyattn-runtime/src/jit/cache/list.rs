//! Lists the files in a directory of cubins.

use super::store::{FAILED, is_ours, is_temporary};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file that the cache wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheFile {
    /// Its path.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was written, or last read as a cubin.
    pub used: SystemTime,
    /// Its kind.
    pub kind: CacheFileKind,
}

/// The kind of a cache file. Lock files are not listed, because they are never deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheFileKind {
    /// A cubin with its log.
    Cubin,
    /// A source that did not compile.
    FailedSource,
    /// A file that is being written, or was when its process died.
    Temporary,
}

/// Every file that the cache wrote, in no particular order. Files that disappear meanwhile and files that are not the cache's
/// are skipped.
pub(super) fn list(root: &Path) -> io::Result<Vec<CacheFile>> {
    let mut files = Vec::new();
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
            let kind = match name {
                _ if is_temporary(name) => CacheFileKind::Temporary,
                _ if !is_ours(&shard, name) => continue,
                _ if shard == FAILED => CacheFileKind::FailedSource,
                _ => CacheFileKind::Cubin,
            };
            files.push(CacheFile { path, bytes: meta.len(), used, kind });
        }
    }
    Ok(files)
}
