//! Inspection and maintenance of a directory of cubins; not used when kernels are loaded.

use super::evict::{Limits, evict};
use super::key::Key;
use super::list::{CacheFile, list};
use super::{entry, root};
use crate::jit::Cubin;
use crate::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A cache directory, or one of cubins compiled ahead of time. Other processes may use it at the same time.
#[derive(Clone, Debug)]
pub struct CacheDir {
    root: PathBuf,
}

impl CacheDir {
    /// Opens an existing directory; `None` if there is none. Nothing is created.
    ///
    /// # Errors
    /// [`Error::CubinFile`] for a file, for a directory that the cache would reject because it belongs to another user or is
    /// writable by others, and for an invalid path, such as one through a file.
    pub fn open(dir: &Path) -> Result<Option<Self>> {
        match dir.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::CubinFile { path: dir.to_owned(), why: error.to_string() }),
            Ok(_) => {}
        }
        match root::open(dir) {
            Ok(root) => Ok(Some(Self { root })),
            Err(why) => Err(Error::CubinFile { path: dir.to_owned(), why }),
        }
    }

    /// Tests whether the cache can use a directory: does what it does on its first write, and undoes it. Returns whether the
    /// directory existed; if it did not, it is removed again.
    ///
    /// # Errors
    /// [`Error::CubinFile`] with the reason.
    pub fn rehearse(dir: &Path) -> Result<bool> {
        root::rehearse(dir).map_err(|why| {
            let quoted = format!("`{}`: ", dir.display());
            let why = why.strip_prefix(&quoted).map_or_else(|| why.clone(), str::to_owned);
            Error::CubinFile { path: dir.to_owned(), why }
        })
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Every file that the cache wrote, least recently used first.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if the directory cannot be read.
    pub fn files(&self) -> Result<Vec<CacheFile>> {
        let mut files = list(&self.root).map_err(|error| self.failed(&error))?;
        files.sort_by(|a, b| a.used.cmp(&b.used).then_with(|| a.path.cmp(&b.path)));
        Ok(files)
    }

    /// The cubin in a file of [`files`](Self::files), after verifying its name, header and checksum.
    ///
    /// # Errors
    /// [`Error::CubinFile`] for a file that cannot be read or is damaged.
    pub fn read(&self, file: &CacheFile) -> Result<Cubin> {
        let failed = |why: String| Error::CubinFile { path: file.path.clone(), why };
        let name = file.path.file_stem().and_then(|stem| stem.to_str());
        let key = name.and_then(Key::parse).ok_or_else(|| failed("it is not a cubin of the cache".into()))?;
        let bytes = fs::read(&file.path).map_err(|error| failed(error.to_string()))?;
        entry::decode(&key, &bytes).map_err(|corrupt| failed(corrupt.to_string()))
    }

    /// Deletes a file of [`files`](Self::files), if it still exists.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if it cannot be deleted.
    pub fn remove(&self, file: &CacheFile) -> Result<()> {
        match fs::remove_file(&file.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::CubinFile { path: file.path.clone(), why: error.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Deletes files not used for longer than `age`, then the least recently used ones until at most `bytes` are left, and
    /// incomplete files of processes that died. Returns the deleted files.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if a file cannot be deleted.
    pub fn shrink(&self, bytes: u64, age: Duration) -> Result<Vec<CacheFile>> {
        evict(&self.root, Limits { bytes, age, newest: None }).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::CubinFile { path: self.root.clone(), why: error.to_string() }
    }
}
