//! Cubins that were compiled ahead of time, for machines without a compiler.
//!
//! The directory has the cache's layout and its entries. What differs is the name: it holds no compiler, so that it can
//! be told where there is none, and no program's name. Nothing here is ever deleted, and nothing is made by reading.

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

/// A directory of cubins that were compiled ahead of time.
pub struct Aot {
    root: PathBuf,
    /// What the driver refused to load.
    refused: Mutex<HashSet<Key>>,
}

impl Aot {
    /// A directory to read from.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if there is no such directory, or if others than its owner may write to it: whoever can
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

    /// The same, made if it is not there: for everybody to read and its owner to write.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn create(dir: &Path) -> Result<Self> {
        root::create(dir, Access::Everyone)
            .map_err(|error| Error::CubinFile { path: dir.to_owned(), why: error.to_string() })?;
        Self::open(dir)
    }

    /// The directory, absolute.
    pub fn dir(&self) -> &Path {
        &self.root
    }

    /// Every file in it, in no order.
    ///
    /// # Errors
    /// [`Error::CubinFile`] if the directory cannot be read.
    pub fn files(&self) -> Result<Vec<CacheFile>> {
        list(&self.root).map_err(|error| Error::CubinFile { path: self.root.clone(), why: error.to_string() })
    }

    /// Stores a program's cubin, and says in which file.
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

    /// A program's cubin for a GPU of this target, if one is there that such a GPU can load.
    ///
    /// # Errors
    /// [`Error::CubinFile`] for a file that cannot be read or is not what was once written.
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
                    Err(Error::CubinFile { path, why: format!("{corrupt}; compile the kernel once more") })
                }
            };
        }
        Ok(None)
    }

    /// Passes over a program's cubins from now on, because the driver refused one.
    pub(in crate::jit) fn refuse(&self, program: &Program, target: Target) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.extend(target.loadable().map(|target| Key::ahead(program, target)));
    }
}
