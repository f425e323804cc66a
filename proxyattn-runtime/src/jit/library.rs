//! Where the libraries of CUDA lie: what searches for them have in common. [`Nvrtc`](super::Nvrtc) is found so, and a program
//! that opens another one at run time may look in the same places.

use std::error::Error;
use std::path::{Path, PathBuf};

/// What the toolkit's installer calls the newest one.
pub const USUAL_TOOLKIT: &str = "/usr/local/cuda";

#[cfg(target_arch = "aarch64")]
const TARGET_LIB: &str = "targets/sbsa-linux/lib";
#[cfg(not(target_arch = "aarch64"))]
const TARGET_LIB: &str = "targets/x86_64-linux/lib";

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file that is there.
    File(PathBuf),
    /// A name for the dynamic linker.
    Name(&'static str),
    /// A place without the library; kept to be told.
    Empty(String),
}

impl Place {
    /// What the linker is given.
    ///
    /// # Errors
    /// Why there is nothing to give it.
    pub fn path(self) -> Result<PathBuf, String> {
        match self {
            Self::Empty(why) => Err(why),
            // Absolute, because the linker searches its own path for names without a slash.
            Self::File(path) => Ok(std::path::absolute(&path).unwrap_or(path)),
            Self::Name(name) => Ok(name.into()),
        }
    }
}

/// What a library's file may be called.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Without a version: `libnvrtc.so`.
    pub plain: &'static str,
    /// All of them, the best first.
    pub all: &'static [&'static str],
}

impl Names {
    /// A file, or a directory, that was named by `by`.
    pub fn given(&self, path: &Path, by: &str) -> Vec<Place> {
        if path.is_dir() {
            self.in_directory(path, by)
        } else if path.exists() {
            vec![Place::File(path.to_owned())]
        } else {
            vec![Place::Empty(format!("`{}` ({by}: no such file)", path.display()))]
        }
    }

    /// A directory to which `by` leads: every library in it, each under the best of its names. The best one may turn out
    /// to be of no use.
    pub fn in_directory(&self, dir: &Path, by: &str) -> Vec<Place> {
        let mut files: Vec<(PathBuf, Option<PathBuf>)> = Vec::new();
        for path in self.all.iter().map(|name| dir.join(name)).filter(|path| path.exists()) {
            let real = path.canonicalize().ok();
            if real.is_none() || files.iter().all(|(_, known)| *known != real) {
                files.push((path, real));
            }
        }
        if files.is_empty() {
            return vec![Place::Empty(format!("`{}` ({by}: no {} there)", dir.display(), self.plain))];
        }
        files.into_iter().map(|(path, _)| Place::File(path)).collect()
    }

    /// The dynamic linker's own search.
    pub fn for_the_linker(&self) -> impl Iterator<Item = Place> {
        self.all.iter().copied().map(Place::Name)
    }
}

/// The directories of a toolkit's libraries.
pub fn toolkit(root: &Path) -> Vec<PathBuf> {
    ["lib64", TARGET_LIB].map(|lib| root.join(lib)).into()
}

/// The directories of a Python environment that may hold a library, whatever its Python's version: `nvidia/PACKAGE/lib` in
/// each of `folders` (`site-packages`) where it is there, then the environment's own.
pub fn python(root: &Path, folders: &[&str], packages: &[&str]) -> Vec<PathBuf> {
    let lib = root.join("lib");
    let mut versions: Vec<_> = std::fs::read_dir(&lib)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .map(|entry| entry.path())
        .collect();
    versions.sort();
    let wheels = versions.iter().flat_map(|version| {
        folders.iter().flat_map(move |folder| {
            packages.iter().map(move |package| version.join(folder).join("nvidia").join(package).join("lib"))
        })
    });
    let mut dirs: Vec<_> = wheels.filter(|dir| dir.is_dir()).collect();
    dirs.extend([lib, root.join(TARGET_LIB)]);
    dirs
}

/// What the dynamic linker says, which libloading keeps apart from its own message.
pub fn reason(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
