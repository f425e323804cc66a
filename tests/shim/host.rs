//! Compiling C++ harnesses with the system's compiler, and running them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of `shim.hpp`, for a harness's include path.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim")
}

/// Compiles `source` to an executable called `name`, with `flags` beside the usual ones, and returns its path.
pub(crate) fn compile(source: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let compiler = compiler();
    let output = Command::new(&compiler)
        .args(["-O2", "-std=c++17", "-Wall", "-Wextra", "-Wno-unknown-pragmas"])
        .arg("-I")
        .arg(folder())
        .args(flags)
        .arg(source)
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap_or_else(|error| panic!("{compiler} was found but does not start: {error}"));
    assert!(
        output.status.success(),
        "{compiler} {flags:?} {} failed:\n{}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    program
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
fn compiler() -> String {
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
}
