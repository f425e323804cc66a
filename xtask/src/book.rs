//! The documentation as a book.

use crate::run::{Outcome, cargo, command, root, step, target};

/// The version that is installed; others may read `docs/book.toml` differently.
const VERSION: &str = "0.5.4";

/// Builds `docs` into `target/book`. mdBook is compiled once, without its server.
pub(crate) fn build(options: &[String]) -> Outcome {
    let home = target().join("mdbook");
    let program = home.join("bin").join(format!("mdbook{}", std::env::consts::EXE_SUFFIX));
    let is_current = command(&program, &["--version"])
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("mdbook v{VERSION}"));
    if !is_current {
        let what = ["install", "mdbook", "--version", VERSION, "--locked", "--force"];
        let features = ["--no-default-features", "--features", "search"];
        step(cargo(&what).args(features).arg("--root").arg(&home))?;
    }
    let out = target().join("book");
    step(command(&program, &["build"]).arg(root().join("docs")).arg("--dest-dir").arg(&out).args(options))?;
    println!("{}", out.join("index.html").display());
    Ok(())
}
