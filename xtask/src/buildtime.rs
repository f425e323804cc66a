//! Build time of the macro's crates, compared with the three crates that every macro needs.

use crate::run::{Outcome, cargo, root, target};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const ROUNDS: usize = 3;

/// The same features of syn as the macro uses, so that the comparison is fair.
const BASE: &str = r#"proc-macro2 = "1"
quote = "1"
syn = { version = "3", default-features = false, features = ["parsing", "printing", "proc-macro", "derive", "clone-impls"] }
"#;

/// Interleaves clean builds of two otherwise empty crates, one job at a time, and reports the fastest of each.
pub(crate) fn measure() -> Outcome {
    let ours = format!(
        "proxyattn-macros = {{ path = {:?} }}\nproxyattn-templates = {{ path = {:?} }}\n",
        root().join("proxyattn-macros"),
        root().join("templates")
    );
    let crates = [empty_crate("base", BASE)?, empty_crate("ours", &ours)?];
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (least, home) in least.iter_mut().zip(&crates) {
            *least = clean_build(home)?.min(*least);
        }
    }
    let [base, ours] = least.map(|time| time.as_secs_f64());
    println!("syn + quote + proc-macro2                  {base:.2} s");
    println!("macros + codegen + templates, with those   {ours:.2} s, {:.2}×", ours / base);
    Ok(())
}

/// An empty library crate with dependencies.
fn empty_crate(name: &str, dependencies: &str) -> Outcome<PathBuf> {
    let home = target().join("build-time").join(name);
    let manifest = format!(
        "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}"
    );
    let write = || -> io::Result<()> {
        fs::create_dir_all(home.join("src"))?;
        fs::write(home.join("Cargo.toml"), manifest)?;
        fs::write(home.join("src/lib.rs"), "")
    };
    write().map_err(|error| format!("{}: {error}", home.display()))?;
    Ok(home)
}

fn clean_build(home: &Path) -> Outcome<Duration> {
    let built = home.join("target");
    if built.exists() {
        fs::remove_dir_all(&built).map_err(|error| format!("{}: {error}", built.display()))?;
    }
    let mut build = cargo(&["build", "--quiet", "--jobs", "1", "--target-dir"]);
    build.arg(&built).current_dir(home);
    let begun = Instant::now();
    let status = build.status().map_err(|error| format!("cargo did not start: {error}"))?;
    if status.success() { Ok(begun.elapsed()) } else { Err(format!("the build failed ({status})")) }
}
