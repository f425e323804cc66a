//! Simulated machines: the tests' stubs of a driver with a Hopper GPU and of NVRTC, and an environment.

use super::short;
use crate::candle::stub;
use crate::run::Outcome;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine.
pub(super) struct Machine {
    /// What is wrong with it.
    pub(super) about: &'static str,
    /// Variables that control the driver stub; not shown.
    driver: &'static [(&'static str, &'static str)],
    /// The environment, as shown on the page.
    pub(super) variables: &'static [(&'static str, &'static str)],
}

/// Stubs of NVRTC: where each is, and its compiler definitions.
const COMPILERS: [(&str, &[&str]); 5] = [
    ("cuda-11.8/lib64/libnvrtc.so.11.2", &["-DMAJOR=11", "-DMINOR=8"]),
    ("cuda-12.4/lib64/libnvrtc.so.12", &["-DMAJOR=12", "-DMINOR=4"]),
    ("cuda-13.0/lib64/libnvrtc.so.13", &["-DMAJOR=13", "-DMINOR=0"]),
    ("half/lib64/libnvrtc.so.13", &["-DFAIL=\"nvrtcCompileProgram\"", "-DCODE=7"]),
    ("venv/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13", &[]),
];

/// The directory of the libraries, as shown on the page.
pub(super) const SHOWN: &str = "/opt";

pub(super) const MACHINES: [Machine; 6] = [
    Machine {
        about: "A toolkit too old for the Hopper kernels: the portable ones run.",
        driver: &[("STUB_VERSION", "12040")],
        variables: &[("CUDA_HOME", "/opt/cuda-11.8")],
    },
    Machine {
        about: "A toolkit without NVRTC's builtins library: the wheel, which is searched next, is used.",
        driver: &[],
        variables: &[("CUDA_HOME", "/opt/half"), ("VIRTUAL_ENV", "/opt/venv")],
    },
    Machine {
        about: "A home directory that is not writable.",
        driver: &[],
        variables: &[("CUDA_HOME", "/opt/cuda-13.0"), ("HOME", "/dev/null")],
    },
    Machine {
        about: "An invalid value, and a misspelt variable.",
        driver: &[],
        variables: &[
            ("CUDA_HOME", "/opt/cuda-13.0"),
            ("PROXYATTN_DEVICE", "gpu"),
            ("PROXYATTN_TUNED", "off"),
        ],
    },
    Machine {
        about: "A driver without a GPU, as in a container that was started without one.",
        driver: &[("STUB_FAIL", "cuInit"), ("STUB_CODE", "100"), ("STUB_VERSION", "12040")],
        variables: &[("CUDA_HOME", "/opt/cuda-12.4")],
    },
    Machine {
        about: "An NVRTC that is newer than the driver.",
        driver: &[("STUB_FAIL", "cuModuleLoadData"), ("STUB_CODE", "209"), ("STUB_VERSION", "12040")],
        variables: &[("CUDA_HOME", "/opt/cuda-13.0")],
    },
];

/// The directory of all stubs.
fn home() -> PathBuf {
    short("opt")
}

/// Removes the stubs.
pub(super) fn remove() {
    let _ = fs::remove_dir_all(home());
}

/// Builds the stubs.
pub(super) fn build() -> Outcome {
    let stubs = COMPILERS.iter().map(|(place, definitions)| ("tests/jit/stub.c", *place, *definitions));
    for (source, place, definitions) in stubs.chain([("tests/driver/stub.c", "driver/libcuda.so", &[][..])]) {
        let library = home().join(place);
        let dir = library.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        stub(source, &library, definitions)?;
    }
    Ok(())
}

impl Machine {
    /// Puts a command on this machine.
    pub(super) fn set(&self, command: &mut Command) {
        let home = home().display().to_string();
        command.env("LD_LIBRARY_PATH", format!("{home}/driver")).env("STUB_CAPABILITY", "9.0");
        // The same on every machine that writes the page.
        command.env("PROXYATTN_CPU", "avx2").env("RAYON_NUM_THREADS", "2");
        command.envs(self.driver.iter().copied());
        command.envs(self.variables.iter().map(|(name, value)| (name, value.replace(SHOWN, &home))));
    }

    /// The program's output without the stub's log, with paths as shown on the page.
    pub(super) fn shown(&self, text: &str) -> String {
        let text = text.replace(&home().display().to_string(), SHOWN);
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            let stub = ["calls ", "live ", "fails "].iter().any(|word| line.starts_with(word));
            match lines.last() {
                _ if !stub => lines.push(line.to_owned()),
                // The stub prints an empty line before its log.
                Some(last) if last.is_empty() => drop(lines.pop()),
                _ => {}
            }
        }
        lines.join("\n")
    }
}
