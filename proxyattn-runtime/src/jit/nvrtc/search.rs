//! The search order for NVRTC.
//!
//! 1. The caller's path, else `PROXYATTN_NVRTC`: a file or a directory. If one of them is given, **nothing else is
//!    searched**: falling back from a mistyped path to another compiler would hide the mistake.
//! 2. `CUDA_HOME`, `CUDA_PATH`: `lib64` and `targets/<machine>-linux/lib`.
//! 3. `VIRTUAL_ENV`, `CONDA_PREFIX`: the wheels' `site-packages/nvidia/{cu13,cuda_nvrtc}/lib`, then the
//!    environment's own `lib` and `targets/<machine>-linux/lib`.
//! 4. The dynamic linker's search path, for `libnvrtc.so.13`, `.12`, the bare name and `.11.2`.
//! 5. `/usr/local/cuda`, the toolkit's default location.
//!
//! A later location is tried if an earlier one has no library, or an unusable one: too old, incomplete, or without its
//! builtins.

use crate::jit::env::{self, Env};
use crate::jit::library::{Names, Place, USUAL_TOOLKIT, python, toolkit};
use std::path::{Path, PathBuf};

/// Newest first. `libnvrtc.so.11.2` is the name of every 11.x from 11.2 on.
const NVRTC: Names = Names {
    plain: "libnvrtc.so",
    all: &["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", "libnvrtc.so.11.2"],
};

/// Every location, in order.
pub(super) fn places(explicit: Option<&Path>, env: &Env) -> Vec<Place> {
    if let Some(path) = explicit {
        return NVRTC.given(path, "the given path");
    }
    if let Some(path) = env.path(env::NVRTC) {
        return NVRTC.given(&path, env::NVRTC);
    }
    let mut places = Vec::new();
    let mut look = |by: &str, root: Option<PathBuf>, inside: fn(&Path) -> Vec<PathBuf>| match root {
        None => places.push(Place::Empty(format!("{by} (unset)"))),
        Some(root) => places.extend(inside(&root).iter().flat_map(|dir| NVRTC.in_directory(dir, by))),
    };
    for variable in env::TOOLKITS {
        look(variable, env.path(variable), toolkit);
    }
    for variable in env::PYTHONS {
        look(variable, env.path(variable), wheels);
    }
    places.extend(NVRTC.for_the_linker());
    places.extend(usual());
    places
}

fn wheels(root: &Path) -> Vec<PathBuf> {
    python(root, &["site-packages"], &["cu13", "cuda_nvrtc"])
}

fn usual() -> impl Iterator<Item = Place> {
    let dirs = toolkit(Path::new(USUAL_TOOLKIT)).into_iter();
    dirs.flat_map(|dir| NVRTC.in_directory(&dir, "the usual toolkit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_given_path_is_the_only_place() {
        let env = Env::of([(env::NVRTC, "/nowhere/else")]);
        let why = |places: Vec<Place>| match places.as_slice() {
            [Place::Empty(why)] => why.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            why(places(Some(Path::new("/nowhere")), &env)),
            "`/nowhere` (the given path: no such file)"
        );
        assert_eq!(why(places(None, &env)), "`/nowhere/else` (PROXYATTN_NVRTC: no such file)");
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
        expected.extend(NVRTC.for_the_linker());
        // This machine may have a toolkit in the usual location, which comes last.
        assert!(found.starts_with(&expected), "{found:?}");
        let last: Vec<_> = usual().collect();
        assert!(places(None, &env).ends_with(&last));
        fs::remove_dir_all(root).unwrap();
    }
}
