//! A directory for one test, and what lies in a cache.

use proxyattn_runtime::jit::{Env, JitOptions};
use std::fs;
use std::path::{Path, PathBuf};

/// Deleted with everything in it when the test ends.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("jit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Says that a test did nothing. Past the harness, which hides what a passing test prints.
pub(crate) fn not_run(test: &str, why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{test}: not run, {why}");
}

/// A cache in `dir`, whatever the environment says.
pub(crate) fn options(dir: &Path) -> JitOptions {
    let mut options = JitOptions::default();
    options.env = Env::default();
    options.cache_dir = Some(dir.to_owned());
    options
}

/// Every file under `dir`, by path.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

/// The entries of a cache.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    files(dir).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "cubin")).collect()
}

/// Files that a writer left half done.
pub(crate) fn temporaries(dir: &Path) -> Vec<PathBuf> {
    let hidden = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with('.');
    files(dir).into_iter().filter(hidden).collect()
}
