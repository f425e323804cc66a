//! NVIDIA's compiler and disassembler, from their Python wheels, unpacked below `target/`. No GPU, no driver and no
//! toolkit is needed to compile for one.

use crate::run::{Outcome, make_executable, target};
use crate::wheel::{Progress, unpacked};
use std::path::PathBuf;

/// The NVRTC that cubins are held to: the reference machine's, so that what is checked is what runs there.
pub(super) const NVRTC: &str = "13.0.88";

/// The directory of `libnvrtc.so.13`: of [`NVRTC`], or of the newest release.
pub(super) fn nvrtc(newest: bool) -> Outcome<PathBuf> {
    let (version, requirement) = match newest {
        false => (NVRTC, format!("nvidia-cuda-nvrtc=={NVRTC}")),
        true => ("newest", "nvidia-cuda-nvrtc".to_owned()),
    };
    unpacked(&requirement, &target().join("nvrtc").join(version), "nvidia/cu13/lib", Progress::Quiet)
}

/// The disassembler. Every release reads the cubins of older ones.
pub(super) fn nvdisasm() -> Outcome<PathBuf> {
    let bin =
        unpacked("nvidia-cuda-nvdisasm", &target().join("nvdisasm"), "nvidia/cu13/bin", Progress::Quiet)?;
    let program = bin.join("nvdisasm");
    make_executable(&program)?;
    Ok(program)
}
