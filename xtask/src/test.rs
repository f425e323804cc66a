//! Everything that must pass before a change is merged.

use crate::kernels;
use crate::run::{Background, Outcome, cargo, command, exists, root, step};
use std::path::{Path, PathBuf};

/// Formatting, lints, tests, kernels and documentation. A minimal toolchain lacks rustfmt and clippy: their steps are then
/// skipped, and the last line says so.
pub(crate) fn all() -> Outcome {
    let mut left_out = Vec::new();
    if exists(&mut cargo(&["fmt", "--version"])) {
        step(&mut cargo(&["fmt", "--all", "--check"]))?;
        step(command("rustfmt", &["--check"]).args(kinds()?))?;
    } else {
        left_out.push("rustfmt");
    }
    // Some of the tests need the compiler as well.
    kernels::install()?;
    let kernels = Background::start(&["kernels", "--check"])?;
    if exists(&mut cargo(&["clippy", "--version"])) {
        step(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    } else {
        left_out.push("clippy");
    }
    // It has its own target directory, so neither build waits for the other.
    let candle = Background::start(&["candle-cuda"])?;
    step(cargo(&["test", "--workspace"]).env("PROXYATTN_REQUIRE_NVRTC", "1"))?;
    step(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    kernels.finish()?;
    candle.finish()?;
    match left_out.as_slice() {
        [] => println!("\nAll passed."),
        _ => {
            println!("\nAll passed, without {}: `rustup component add` installs it.", left_out.join(" and "))
        }
    }
    Ok(())
}

/// The files of scorers and budgets: a macro declares their modules, and rustfmt does not look into macros.
fn kinds() -> Outcome<Vec<PathBuf>> {
    fn below(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in folder.read_dir()? {
            let path = entry?.path();
            match path.is_dir() {
                true => below(&path, files)?,
                false => files.push(path),
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    for member in ["proxyattn-codegen/src", "proxyattn-runtime/src/cpu", "proxyattn-oracle/src"] {
        for choice in ["scorer", "budget"] {
            let folder = root().join(member).join(choice);
            below(&folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    Ok(files)
}
