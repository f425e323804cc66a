//! Where cuBLAS is looked for.
//!
//! 1. `PROXYATTN_CUBLAS`: a file, or a directory. **Nothing else is tried** then: falling back from a mistyped path to
//!    some other library would hide the mistake.
//! 2. `CUDA_HOME`, `CUDA_PATH`: `lib64` and `targets/<machine>-linux/lib`.
//! 3. Python environments: `VIRTUAL_ENV`, `CONDA_PREFIX`, and that of the first `python3` on the `PATH`. In each the
//!    wheels' `nvidia/{cu13,cublas}/lib` in `site-packages` or `dist-packages`, then the environment's own `lib`.
//! 4. The toolkit's usual home, `/usr/local/cuda`.
//! 5. The dynamic linker's own search for `libcublas.so.13`, `.12` and the bare name.
//!
//! A later place is tried when an earlier one has no library, or one that cannot be used.

use proxyattn::jit::library::{self, Names, Place, USUAL_TOOLKIT, toolkit};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable that names the library.
pub(super) const VARIABLE: &str = "PROXYATTN_CUBLAS";

/// Newest first.
const CUBLAS: Names =
    Names { plain: "libcublas.so", all: &["libcublas.so.13", "libcublas.so.12", "libcublas.so"] };

/// Every place, in order. `env` is the environment: `std::env::var_os` of the process, or made up by a test.
pub(super) fn places(env: &dyn Fn(&str) -> Option<OsString>) -> Vec<Place> {
    let path = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(given) = path(VARIABLE) {
        return CUBLAS.given(&given, VARIABLE);
    }
    let mut places = Vec::new();
    let mut look = |by: &str, root: Option<PathBuf>, inside: fn(&Path) -> Vec<PathBuf>| match root {
        None => places.push(Place::Empty(format!("{by} (unset)"))),
        Some(root) => places.extend(inside(&root).iter().flat_map(|dir| CUBLAS.in_directory(dir, by))),
    };
    for variable in ["CUDA_HOME", "CUDA_PATH"] {
        look(variable, path(variable), toolkit);
    }
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        look(variable, path(variable), python);
    }
    if let Some(root) = path("PATH").and_then(|path| python_on(path.as_os_str())) {
        look("python3", Some(root), python);
    }
    look("the usual home", Some(USUAL_TOOLKIT.into()), toolkit);
    places.extend(CUBLAS.for_the_linker());
    places
}

fn python(root: &Path) -> Vec<PathBuf> {
    library::python(root, &["site-packages", "dist-packages"], &["cu13", "cublas"])
}

/// The environment of the first `python3` on a search path.
fn python_on(path: &std::ffi::OsStr) -> Option<PathBuf> {
    let python = std::env::split_paths(path).map(|dir| dir.join("python3")).find(|file| file.is_file())?;
    // `bin/python3` of an environment may be a link out of it: the environment is where the link is.
    Some(python.parent()?.parent()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_named_library_is_the_only_place() {
        let env = |name: &str| (name == VARIABLE).then(|| OsString::from("/nowhere/else"));
        let told = "`/nowhere/else` (PROXYATTN_CUBLAS: no such file)";
        assert_eq!(places(&env), [Place::Empty(told.into())]);
    }

    #[test]
    fn toolkits_come_before_python_and_the_linker_last() {
        let root = std::env::temp_dir().join(format!("smollm2-cublas-{}", std::process::id()));
        let toolkit = root.join("cuda/lib64");
        let wheel = root.join("venv/lib/python3.12/site-packages/nvidia/cublas/lib");
        let system = root.join("usr/lib/python3.10/dist-packages/nvidia/cu13/lib");
        for (dir, name) in
            [(&toolkit, "libcublas.so.12"), (&wheel, "libcublas.so.12"), (&system, "libcublas.so.13")]
        {
            fs::create_dir_all(dir).unwrap();
            fs::write(dir.join(name), "").unwrap();
        }
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(root.join("usr/bin/python3"), "").unwrap();
        let env = |name: &str| match name {
            "CUDA_HOME" => Some(root.join("cuda").into()),
            "VIRTUAL_ENV" => Some(root.join("venv").into()),
            "PATH" => std::env::join_paths([root.join("nothing"), root.join("usr/bin")]).ok(),
            _ => None,
        };
        let found: Vec<_> = places(&env)
            .into_iter()
            .filter(|place| match place {
                Place::File(file) => file.starts_with(&root), // the toolkit's usual home is the machine's
                Place::Name(_) => true,
                Place::Empty(_) => false,
            })
            .collect();
        let mut expected = vec![
            Place::File(toolkit.join("libcublas.so.12")),
            Place::File(wheel.join("libcublas.so.12")),
            Place::File(system.join("libcublas.so.13")),
        ];
        expected.extend(CUBLAS.for_the_linker());
        assert_eq!(found, expected);
        fs::remove_dir_all(root).unwrap();
    }
}
