//! Where NVRTC is looked for.
//!
//! 1. The path that the caller gives, else `PROXYATTN_NVRTC`: a file, or a directory. **Nothing else is tried**
//!    then: falling back from a mistyped path to some other compiler would hide the mistake.
//! 2. `CUDA_HOME`, `CUDA_PATH`: `lib64` and `targets/<machine>-linux/lib`.
//! 3. `VIRTUAL_ENV`, `CONDA_PREFIX`: the wheels' `site-packages/nvidia/{cu13,cuda_nvrtc}/lib`, then the
//!    environment's own `lib` and `targets/<machine>-linux/lib`.
//! 4. The dynamic linker's own search for `libnvrtc.so.13`, `.12` and the bare name.
//! 5. `/usr/local/cuda`, where a toolkit is installed unless it is told otherwise.
//!
//! A later place is tried when an earlier one has no library, or one that cannot be used.

use crate::jit::env::{self, Env};
use std::path::{Path, PathBuf};

/// Newest first. `libnvrtc.so.11.2` is what every 11.x from 11.2 on is called.
const NAMES: [&str; 4] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", "libnvrtc.so.11.2"];

/// What the toolkit's installer calls the newest one.
const USUAL: &str = "/usr/local/cuda";

#[cfg(target_arch = "aarch64")]
const TARGET_LIB: &str = "targets/sbsa-linux/lib";
#[cfg(not(target_arch = "aarch64"))]
const TARGET_LIB: &str = "targets/x86_64-linux/lib";

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A file that is there.
    File(PathBuf),
    /// A name for the dynamic linker.
    Name(&'static str),
    /// A place without the library; kept to be told.
    Empty(String),
}

/// Every place, in order.
pub(super) fn places(explicit: Option<&Path>, env: &Env) -> Vec<Place> {
    if let Some(path) = explicit {
        return vec![given(path, "the given path")];
    }
    if let Some(path) = env.path(env::NVRTC) {
        return vec![given(&path, env::NVRTC)];
    }
    let mut places = Vec::new();
    for variable in env::TOOLKITS {
        match env.path(variable) {
            None => places.push(Place::Empty(format!("{variable} (unset)"))),
            Some(root) => {
                places.extend(toolkit(&root, variable));
            }
        }
    }
    for variable in env::PYTHONS {
        match env.path(variable) {
            None => places.push(Place::Empty(format!("{variable} (unset)"))),
            Some(root) => places.extend(python(&root).iter().map(|dir| in_directory(dir, variable))),
        }
    }
    places.extend(NAMES.map(Place::Name));
    places.extend(toolkit(Path::new(USUAL), "the usual toolkit"));
    places
}

fn toolkit(root: &Path, by: &str) -> [Place; 2] {
    ["lib64", TARGET_LIB].map(|lib| in_directory(&root.join(lib), by))
}

fn given(path: &Path, by: &str) -> Place {
    if path.is_dir() {
        in_directory(path, by)
    } else if path.exists() {
        Place::File(path.to_owned())
    } else {
        Place::Empty(format!("`{}` ({by}: no such file)", path.display()))
    }
}

fn in_directory(dir: &Path, by: &str) -> Place {
    match NAMES.iter().map(|name| dir.join(name)).find(|path| path.exists()) {
        Some(path) => Place::File(path),
        None => Place::Empty(format!("`{}` ({by}: no libnvrtc.so there)", dir.display())),
    }
}

/// The directories of an environment that may hold the library, whatever its Python's version.
fn python(root: &Path) -> Vec<PathBuf> {
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
        ["cu13", "cuda_nvrtc"].map(|package| version.join("site-packages/nvidia").join(package).join("lib"))
    });
    let mut dirs: Vec<_> = wheels.filter(|dir| dir.is_dir()).collect();
    dirs.extend([lib, root.join(TARGET_LIB)]);
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_given_path_is_the_only_place() {
        let env = Env::of([(env::NVRTC, "/nowhere/else")]);
        let told = |places: Vec<Place>| match places.as_slice() {
            [Place::Empty(why)] => why.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            told(places(Some(Path::new("/nowhere")), &env)),
            "`/nowhere` (the given path: no such file)"
        );
        assert_eq!(told(places(None, &env)), "`/nowhere/else` (PROXYATTN_NVRTC: no such file)");
    }

    #[test]
    fn toolkits_come_before_python_and_both_before_the_linker() {
        let root = std::env::temp_dir().join(format!("proxyattn-search-{}", std::process::id()));
        let toolkit = root.join("cuda/lib64");
        let wheel = root.join("venv/lib/python3.12/site-packages/nvidia/cu13/lib");
        for (dir, name) in [(&toolkit, "libnvrtc.so.12"), (&wheel, "libnvrtc.so.13")] {
            fs::create_dir_all(dir).unwrap();
            fs::write(dir.join(name), "").unwrap();
        }
        let env = Env::of([("CUDA_HOME", root.join("cuda")), ("VIRTUAL_ENV", root.join("venv"))]);
        let found: Vec<_> =
            places(None, &env).into_iter().filter(|place| !matches!(place, Place::Empty(_))).collect();
        let mut expected =
            vec![Place::File(toolkit.join("libnvrtc.so.12")), Place::File(wheel.join("libnvrtc.so.13"))];
        expected.extend(NAMES.map(Place::Name));
        // This machine may have a toolkit of its own, which comes last.
        assert!(found.starts_with(&expected), "{found:?}");
        let last = super::toolkit(Path::new(USUAL), "the usual toolkit");
        assert!(places(None, &env).ends_with(&last));
        fs::remove_dir_all(root).unwrap();
    }
}
