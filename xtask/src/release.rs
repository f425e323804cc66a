//! What has to be true before a version is published, and what then remains to be done by a person.

use crate::run::{Outcome, cargo, command, root, step};
use std::fs;

/// Members with `publish = false`: their dependencies are paths without versions, which cargo does not package.
const UNPUBLISHED: [&str; 7] =
    ["heads", "pictures", "proxyattn-kit", "proxyattn-oracle", "proxyattn-peers", "smollm2", "xtask"];

/// Packages every publishable member, and builds each from its package.
pub(crate) fn package() -> Outcome {
    step(cargo(&["package", "--workspace", "--allow-dirty"]).args(excluded()))
}

/// Checks what can be checked, packages the crates, and prints the steps that follow. Publishes nothing.
pub(crate) fn checklist(args: &[String]) -> Outcome {
    let [version] = args else {
        return Err("expected the version to release, as `cargo xtask release 0.1.0`".into());
    };
    let read = |name| fs::read_to_string(root().join(name)).map_err(|error| format!("{name}: {error}"));
    let faults = faults(version, &read("Cargo.toml")?, &read("CHANGELOG.md")?, &changed()?);
    if !faults.is_empty() {
        return Err(format!("{version} cannot be released yet:\n  * {}", faults.join("\n  * ")));
    }
    package()?;
    println!("\n{}", steps(version));
    Ok(())
}

fn excluded() -> impl Iterator<Item = &'static str> {
    UNPUBLISHED.into_iter().flat_map(|member| ["--exclude", member])
}

/// Files that are not committed, a line each.
fn changed() -> Outcome<String> {
    let output = command("git", &["status", "--porcelain"]).output();
    let output = output.map_err(|error| format!("git did not start: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What stands against a release.
fn faults(version: &str, manifest: &str, changelog: &str, changed: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // The workspace's version, and the exact one with which its crates ask for each other.
    let stated: Vec<_> = manifest
        .lines()
        .filter(|line| line.starts_with("version = ") || line.contains("version = \"="))
        .filter_map(|line| line.rsplit_once("version = \"")?.1.split('"').next())
        .map(|stated| stated.trim_start_matches('='))
        .collect();
    if let Some(other) = stated.iter().find(|stated| **stated != version) {
        faults.push(format!("Cargo.toml: expected every version to be {version}, got {other}"));
    }
    if stated.is_empty() {
        faults.push("Cargo.toml: expected `version = \"…\"` under [workspace.package]".into());
    }
    if !changelog.lines().any(|line| line.starts_with(&format!("## [{version}] - "))) {
        faults.push(format!("CHANGELOG.md: expected a section `## [{version}] - YYYY-MM-DD`"));
    }
    let mut unreleased = changelog.lines().skip_while(|line| *line != "## [Unreleased]").skip(1);
    if unreleased.find(|line| !line.is_empty()).is_some_and(|line| !line.starts_with("## ")) {
        faults
            .push("CHANGELOG.md: expected nothing under [Unreleased]; it belongs to the new version".into());
    }
    if !changed.is_empty() {
        faults.push(format!("expected every change to be committed, got\n{}", changed.trim_end()));
    }
    faults
}

/// What a person does once the checks have passed.
fn steps(version: &str) -> String {
    let excluded = excluded().collect::<Vec<_>>().join(" ");
    format!(
        "{version} is ready. What remains:\n\
         \x20 1. cargo xtask test, and on a GPU of each kind that the README calls measured:\n\
         \x20    PROXYATTN_GPU=1 cargo test --test gpu\n\
         \x20 2. cargo semver-checks --workspace, where an earlier version is published; a change that breaks\n\
         \x20    callers raises the minor version until 1.0, the major one from then on\n\
         \x20 3. git tag v{version} && git push --tags\n\
         \x20 4. cargo publish --workspace {excluded}\n\
         \x20 5. look at the pages of docs.rs, and install the program: cargo install proxyattn-cli\n\
         \x20 6. open a new section [Unreleased] in CHANGELOG.md"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "version = \"0.2.0\"\na = { path = \"a\", version = \"=0.2.0\" }\nclap = { version = \"4\" }\n";
    const CHANGELOG: &str = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n";

    #[test]
    fn a_release_is_refused_for_each_reason() {
        assert_eq!(faults("0.2.0", MANIFEST, CHANGELOG, ""), [""; 0]);
        let only = |version, manifest: &str, changelog: &str, changed| {
            let faults = faults(version, manifest, changelog, changed);
            assert_eq!(faults.len(), 1, "{faults:?}");
            faults[0].clone()
        };
        assert!(only("0.2.0", &MANIFEST.replace("=0.2.0", "=0.1.0"), CHANGELOG, "").ends_with("got 0.1.0"));
        assert!(only("0.2.0", "", CHANGELOG, "").starts_with("Cargo.toml: expected `version"));
        let undated = CHANGELOG.replace(" - 2026-12-01", "");
        assert!(only("0.2.0", MANIFEST, &undated, "").contains("`## [0.2.0] - YYYY-MM-DD`"));
        let left = CHANGELOG.replace("[Unreleased]\n", "[Unreleased]\n\n### Added\n");
        assert!(only("0.2.0", MANIFEST, &left, "").contains("nothing under [Unreleased]"));
        assert!(only("0.2.0", MANIFEST, CHANGELOG, " M src/lib.rs\n").ends_with("\n M src/lib.rs"));
    }

    #[test]
    fn crates_that_are_not_published_are_those_that_say_so() {
        let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]).output();
        let metadata = String::from_utf8(metadata.expect("cargo").stdout).expect("text");
        for member in UNPUBLISHED {
            let start = metadata.find(&format!("{{\"name\":\"{member}\",\"version\"")).expect(member);
            let package = &metadata[start..];
            let end = package.find("\"default_run\"").expect("a package's end");
            assert!(package[..end].contains("\"publish\":[]"), "{member}");
        }
        assert_eq!(metadata.matches("\"publish\":[]").count(), UNPUBLISHED.len());
    }
}
