//! A directory of cubins, looked at from outside: by people and their tools, never on the way to a kernel.

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

/// A cache's directory, or one of cubins that were compiled ahead of time. Processes may use it meanwhile.
#[derive(Clone, Debug)]
pub struct CacheDir {
    root: PathBuf,
}

impl CacheDir {
    /// A directory that is there; nothing is made. `None` if there is none.
    ///
    /// # Errors
    /// [`Error::CubinFile`] for a file, or a directory that the cache would refuse, being another user's or open to
    /// others, and for a path that leads nowhere, as through a file.
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

    /// Does what the cache does when it first stores something, and undoes it: whether it can be used there. Says whether
    /// the directory was there; one that was not is gone again.
    ///
    /// # Errors
    /// [`Error::CubinFile`] with what is in the way.
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

    /// Every file that the cache wrote, the least recently used first.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if the directory cannot be read.
    pub fn files(&self) -> Result<Vec<CacheFile>> {
        let mut files = list(&self.root).map_err(|error| self.failed(&error))?;
        files.sort_by(|a, b| a.used.cmp(&b.used).then_with(|| a.path.cmp(&b.path)));
        Ok(files)
    }

    /// The cubin in a file of [`files`](Self::files), checked from its name to its last byte.
    ///
    /// # Errors
    /// [`Error::CubinFile`] for a file that cannot be read or is not what was once written.
    pub fn read(&self, file: &CacheFile) -> Result<Cubin> {
        let failed = |why: String| Error::CubinFile { path: file.path.clone(), why };
        let name = file.path.file_stem().and_then(|stem| stem.to_str());
        let key = name.and_then(Key::parse).ok_or_else(|| failed("it is no cubin of the cache".into()))?;
        let bytes = fs::read(&file.path).map_err(|error| failed(error.to_string()))?;
        entry::decode(&key, &bytes).map_err(|corrupt| failed(corrupt.to_string()))
    }

    /// Deletes a file of [`files`](Self::files). One that is gone already is no error.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if it stays.
    pub fn remove(&self, file: &CacheFile) -> Result<()> {
        match fs::remove_file(&file.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::CubinFile { path: file.path.clone(), why: error.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Deletes what was not used for longer than `age`, then the least recently used until the rest has at most
    /// `bytes`; and files that a process which died left half written. Says what went.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if a file stays that should go.
    pub fn shrink(&self, bytes: u64, age: Duration) -> Result<Vec<CacheFile>> {
        evict(&self.root, Limits { bytes, age, newest: None }).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::CubinFile { path: self.root.clone(), why: error.to_string() }
    }
}
