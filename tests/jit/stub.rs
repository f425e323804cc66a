//! Builds libraries that only look like NVRTC.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `stub.c` with these definitions, as `dir/libnvrtc.so.13`.
pub(crate) fn library(dir: &Path, definitions: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jit/stub.c");
    let library = dir.join("libnvrtc.so.13");
    let definitions = definitions.iter().map(|definition| format!("-D{definition}"));
    build(&library, definitions.chain([source.display().to_string()]));
    library
}

/// The companion that NVRTC opens by its name alone.
pub(crate) fn builtins(dir: &Path, name: &str) {
    let source = dir.join("empty.c");
    std::fs::write(&source, "int builtins;\n").unwrap();
    build(&dir.join(name), [format!("-Wl,-soname,{name}"), source.display().to_string()]);
}

fn build(library: &Path, arguments: impl IntoIterator<Item = String>) {
    std::fs::create_dir_all(library.parent().unwrap()).unwrap();
    let output =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
