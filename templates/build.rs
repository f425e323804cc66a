//! Lists the templates: every `.cuh` file in the folders beside this file.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    let mut list = String::from("&[\n");
    for path in entries(&root)? {
        // A `target` would be that of a build in this folder.
        if path.is_dir() && !path.ends_with("target") {
            println!("cargo::rerun-if-changed={}", path.display());
            add(&root, &path, &mut list)?;
        }
    }
    list.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("files.rs"), list)?;
    Ok(())
}

/// A line for each template below a folder.
fn add(root: &Path, folder: &Path, list: &mut String) -> Result<(), Box<dyn Error>> {
    for path in entries(folder)? {
        if path.is_dir() {
            add(root, &path, list)?;
        } else if path.extension().is_some_and(|extension| extension == "cuh") {
            let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("a path is not UTF-8");
            let name = text(path.strip_prefix(root)?)?.replace('\\', "/");
            writeln!(list, "    ({name:?}, include_str!({:?})),", text(&path)?)?;
        }
    }
    Ok(())
}

/// What a folder holds, by name.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
