//! Everything that must pass before a change lands.

use crate::run::{Outcome, cargo, exists, step};

/// Formatting, lints, documentation and tests. rustfmt and clippy are components that a minimal toolchain
/// lacks: without them their step is left out, and the last line says so.
pub(crate) fn all() -> Outcome {
    let mut left_out = Vec::new();
    if exists(&mut cargo(&["fmt", "--version"])) {
        step(&mut cargo(&["fmt", "--all", "--check"]))?;
    } else {
        left_out.push("rustfmt");
    }
    if exists(&mut cargo(&["clippy", "--version"])) {
        step(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    } else {
        left_out.push("clippy");
    }
    step(&mut cargo(&["test", "--workspace"]))?;
    step(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
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
    step(&mut cargo(&["package", "--workspace", "--exclude", "xtask", "--allow-dirty"]))
}
