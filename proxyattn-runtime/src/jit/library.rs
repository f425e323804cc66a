//! Searches for CUDA's libraries. [`Nvrtc`](super::Nvrtc) is found this way, and programs can search for other libraries in
//! the same locations.

use std::error::Error;
use std::path::{Path, PathBuf};

/// The installer's link to the newest toolkit.
pub const USUAL_TOOLKIT: &str = "/usr/local/cuda";

#[cfg(target_arch = "aarch64")]
const TARGET_LIB: &str = "targets/sbsa-linux/lib";
#[cfg(not(target_arch = "aarch64"))]
const TARGET_LIB: &str = "targets/x86_64-linux/lib";

/// One location of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An existing file.
    File(PathBuf),
    /// A name for the dynamic linker.
    Name(&'static str),
    /// A location without the library, described for error messages.
    Empty(String),
}

impl Place {
    /// The path to pass to the dynamic linker.
    ///
    /// # Errors
    /// Why the location has no library.
    pub fn path(self) -> Result<PathBuf, String> {
        match self {
            Self::Empty(why) => Err(why),
            // Absolute, because the linker searches its own path for names without a slash.
            Self::File(path) => Ok(std::path::absolute(&path).unwrap_or(path)),
            Self::Name(name) => Ok(name.into()),
        }
    }
}

/// The possible file names of a library.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Without a version: `libnvrtc.so`.
    pub plain: &'static str,
    /// All names, the preferred one first.
    pub all: &'static [&'static str],
}

impl Names {
    /// A file or directory given by `by`.
    pub fn given(&self, path: &Path, by: &str) -> Vec<Place> {
        if path.is_dir() {
            self.in_directory(path, by)
        } else if path.exists() {
            vec![Place::File(path.to_owned())]
        } else {
            vec![Place::Empty(format!("`{}` ({by}: no such file)", path.display()))]
        }
    }

    /// A directory given by `by`: every library in it, each under the preferred one of its names. All are listed because the
    /// first may turn out to be unusable.
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

/// The directories of a Python environment, of any Python version, that may contain a library: every existing
/// `nvidia/PACKAGE/lib` in `folders` (`site-packages`), then the environment's own `lib` directories.
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

/// The dynamic linker's message, which libloading does not include in its own.
pub fn reason(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
