//! Everything that must pass before a change lands.

use crate::run::{Beside, Outcome, cargo, exists, step};

/// Members with `publish = false`: their dependencies are paths without versions, which cargo does not package.
const UNPUBLISHED: [&str; 6] =
    ["heads", "proxyattn-kit", "proxyattn-oracle", "proxyattn-peers", "smollm2", "xtask"];

/// Formatting, lints, tests, kernels and documentation. rustfmt and clippy are components that a minimal toolchain
/// lacks: without them their step is left out, and the last line says so.
pub(crate) fn all() -> Outcome {
    let mut left_out = Vec::new();
    if exists(&mut cargo(&["fmt", "--version"])) {
        step(&mut cargo(&["fmt", "--all", "--check"]))?;
    } else {
        left_out.push("rustfmt");
    }
    let kernels = Beside::start(&["kernels", "--check"])?;
    if exists(&mut cargo(&["clippy", "--version"])) {
        step(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    } else {
        left_out.push("clippy");
    }
    // Before the tests, because it fetches the compiler that some of them need.
    kernels.finish()?;
    // It has a target directory of its own: neither build waits for the other.
    let candle = Beside::start(&["candle-cuda"])?;
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

/// Packages every publishable member, and builds each from its package.
pub(crate) fn package() -> Outcome {
    let mut package = cargo(&["package", "--workspace", "--allow-dirty"]);
    for member in UNPUBLISHED {
        package.args(["--exclude", member]);
    }
    step(&mut package)
}
