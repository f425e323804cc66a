//! Cubins compiled ahead of time, for machines without a compiler.
//!
//! The directory has the layout and the entries of the cache. Only the keys differ: they include neither the compiler, so that
//! they can be computed without one, nor the program's name. Entries are never deleted, and reading creates nothing.

use super::key::Key;
use super::list::{CacheFile, list};
use super::root::{self, Access};
use super::{entry, store};
use crate::jit::{Cubin, Program, Target};
use crate::{Error, Result};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A directory of cubins compiled ahead of time.
pub struct Aot {
    root: PathBuf,
    /// Cubins that the driver refused to load.
    refused: Mutex<HashSet<Key>>,
}

impl Aot {
    /// Opens a directory for reading.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if there is no such directory, or if users other than its owner can write to it: a user who can
    /// write a cubin can run code on the GPU with this process's data.
    pub fn open(dir: &Path) -> Result<Self> {
        let why = |why: String| Error::CubinFile { path: dir.to_owned(), why };
        let root = std::path::absolute(dir).map_err(|error| why(error.to_string()))?;
        let meta = fs::metadata(&root).map_err(|error| why(error.to_string()))?;
        if !meta.is_dir() {
            return Err(why("expected a directory, got a file".into()));
        }
        root::closed(&meta).map_err(why)?;
        Ok(Self { root, refused: Mutex::default() })
    }

    /// Opens a directory, and creates it if necessary: readable by everyone, writable by its owner.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn create(dir: &Path) -> Result<Self> {
        root::create(dir, Access::Everyone)
            .map_err(|error| Error::CubinFile { path: dir.to_owned(), why: error.to_string() })?;
        Self::open(dir)
    }

    /// The directory, absolute.
    pub fn dir(&self) -> &Path {
        &self.root
    }

    /// Every file in it, in no particular order.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if the directory cannot be read.
    pub fn files(&self) -> Result<Vec<CacheFile>> {
        list(&self.root).map_err(|error| Error::CubinFile { path: self.root.clone(), why: error.to_string() })
    }

    /// Stores a program's cubin, and returns the file's path.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if it cannot be written.
    pub fn store(&self, program: &Program, target: Target, cubin: &Cubin) -> Result<PathBuf> {
        let key = Key::ahead(program, target);
        let path = store::entry_path(&self.root, &key);
        match store::publish(&path, &entry::encode(&key, cubin), Access::Everyone) {
            Ok(()) => Ok(path),
            Err(error) => Err(Error::CubinFile { path, why: error.to_string() }),
        }
    }

    /// A program's cubin that a GPU of this target can load, if there is one.
    ///
    /// # Errors
    /// [`Error::CubinFile`] for a file that cannot be read or is damaged.
    pub fn find(&self, program: &Program, target: Target) -> Result<Option<Cubin>> {
        for target in target.loadable() {
            let key = Key::ahead(program, target);
            let path = store::entry_path(&self.root, &key);
            if self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
                continue;
            }
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::CubinFile { path, why: error.to_string() }),
            };
            return match entry::decode(&key, &bytes) {
                Ok(cubin) => Ok(Some(cubin)),
                Err(corrupt) => {
                    Err(Error::CubinFile { path, why: format!("{corrupt}; compile the kernel again") })
                }
            };
        }
        Ok(None)
    }

    /// Skips a program's cubins from now on, because the driver refused one.
    pub(in crate::jit) fn refuse(&self, program: &Program, target: Target) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.extend(target.loadable().map(|target| Key::ahead(program, target)));
    }
}
