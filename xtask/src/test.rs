//! Everything that must pass before a change is merged.

use crate::run::{Background, Outcome, cargo, exists, step};

/// Formatting, lints, tests, kernels and documentation. A minimal toolchain lacks rustfmt and clippy: their steps are then
/// skipped, and the last line says so.
pub(crate) fn all() -> Outcome {
    let mut left_out = Vec::new();
    if exists(&mut cargo(&["fmt", "--version"])) {
        step(&mut cargo(&["fmt", "--all", "--check"]))?;
    } else {
        left_out.push("rustfmt");
    }
    let kernels = Background::start(&["kernels", "--check"])?;
    if exists(&mut cargo(&["clippy", "--version"])) {
        step(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    } else {
        left_out.push("clippy");
    }
    // Before the tests, because it installs the compiler that some of them need.
    kernels.finish()?;
    // It has its own target directory, so neither build waits for the other.
    let candle = Background::start(&["candle-cuda"])?;
    step(cargo(&["test", "--workspace"]).env("PROXYATTN_REQUIRE_NVRTC", "1"))?;
    step(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    candle.finish()?;
    match left_out.as_slice() {
        [] => println!("\nAll passed."),
        _ => {
            println!("\nAll passed, without {}: `rustup component add` installs it.", left_out.join(" and "))
        }
    }
    Ok(())
}
