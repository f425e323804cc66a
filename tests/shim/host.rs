//! Compiling C++ harnesses with the system's compiler, and running them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// The flags of every harness.
const USUAL: [&str; 5] = ["-O2", "-std=c++17", "-Wall", "-Wextra", "-Wno-unknown-pragmas"];

/// The folder of `shim.hpp`, for a harness's include path.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim")
}

/// Compiles `source` and links it with `objects` to an executable called `name`, with `flags` beside the usual ones, and
/// returns its path. A program that is there already, made of the same texts by the same compiler with the same flags, is
/// taken as it is.
pub(crate) fn compile(source: &Path, name: &str, flags: &[&str], objects: &[&Path]) -> PathBuf {
    make(source, name, flags, objects)
}

/// Compiles `source` to an object file, in the same way.
pub(crate) fn object(source: &Path, name: &str, flags: &[&str]) -> PathBuf {
    make(source, name, &[flags, &["-c"]].concat(), &[])
}

/// The object file of what the shim's wrappers do, which every harness is linked with.
pub(crate) fn shim() -> &'static Path {
    static OBJECT: OnceLock<PathBuf> = OnceLock::new();
    OBJECT.get_or_init(|| object(&folder().join("shim.cpp"), "shim.o", &[]))
}

/// Processes that make the same file at the same time do not see each other's halves: it gets its name when it is whole.
fn make(source: &Path, name: &str, flags: &[&str], objects: &[&Path]) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let made_of = beside(&file, "made-of");
    let key = key(source, flags, objects);
    if file.exists() && fs::read_to_string(&made_of).is_ok_and(|known| known == key) {
        return file;
    }
    let compiler = compiler();
    let unfinished = beside(&file, &std::process::id().to_string());
    let output = Command::new(compiler)
        .args(USUAL)
        .arg("-I")
        .arg(folder())
        .args(flags)
        .arg(source)
        .args(objects)
        .arg("-o")
        .arg(&unfinished)
        .output()
        .unwrap_or_else(|error| panic!("{compiler} was found but does not start: {error}"));
    assert!(
        output.status.success(),
        "{compiler} {flags:?} {} failed:\n{}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let _ = fs::remove_file(&made_of); // it is of the file that goes
    fs::rename(&unfinished, &file).expect("the target folder can be written");
    fs::write(made_of, key).expect("the target folder can be written");
    file
}

/// A file's name with a suffix.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    file.with_file_name(format!("{}.{suffix}", file.file_name().expect("a file's path").display()))
}

/// Tells whether a file would become the same: a hash of the compiler's version, the flags, the source, whatever it may
/// include, and what the objects are made of.
fn key(source: &Path, flags: &[&str], objects: &[&Path]) -> String {
    static INCLUDED: OnceLock<String> = OnceLock::new();
    let included = INCLUDED.get_or_init(|| {
        let version = Command::new(compiler()).arg("--version").output().map(|output| output.stdout);
        let mut text = String::from_utf8_lossy(&version.unwrap_or_default()).into_owned();
        for below in ["tests/shim", "tests/stages", "templates"] {
            read_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(below), &mut text);
        }
        text
    });
    let mut hasher = DefaultHasher::new();
    let source = fs::read(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    let objects = objects.iter().map(|object| fs::read(beside(object, "made-of")).unwrap_or_default());
    (compiler(), USUAL, flags, source, included, objects.collect::<Vec<_>>()).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Appends every C++ file below a folder, in the order of their names.
fn read_below(folder: &Path, text: &mut String) {
    let failed = |error| panic!("{}: {error}", folder.display());
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(failed)
        .map(|entry| entry.expect("a directory entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_below(&path, text);
        } else if path.extension().is_none_or(|extension| extension != "rs") {
            *text += &fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

/// Runs a compiled harness with `arguments` and returns what it printed; panics with that text where it exits with an error.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{stdout}{stderr}", program.display(), output.status);
    stdout
}

/// `CXX` where it is set, else the first of the usual names that starts.
fn compiler() -> &'static str {
    static COMPILER: OnceLock<String> = OnceLock::new();
    COMPILER.get_or_init(|| {
        if let Ok(named) = env::var("CXX") {
            return named;
        }
        let usual = ["c++", "g++", "clang++"];
        let starts = |name: &&str| Command::new(name).arg("--version").output().is_ok();
        usual.iter().find(|name| starts(name)).map(|name| (*name).to_owned()).unwrap_or_else(|| {
            panic!(
                "the kernel tests need a C++17 compiler: none of {usual:?} is on the PATH. Install one (g++ 9 or \
                 later), or name it in the environment variable CXX. The README lists it among the requirements."
            )
        })
    })
}
