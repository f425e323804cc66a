//! The CUDA side of proxyattn-candle, where there is no CUDA toolkit.
//!
//! candle compiles kernels with `nvcc` in a build script, and includes what it wrote. Code that is checked is not linked,
//! so empty files do. They must never meet a build that is, hence a target directory of their own.

use crate::run::{Outcome, cargo, exists, step, target};
use std::fs;

/// Writes what it is asked for, without a word in it.
const NVCC: &str = r#"#!/bin/sh
# Stands in for nvcc where code is checked and not linked.
while [ $# -gt 0 ]; do
    case $1 in
        --version) echo 'release 12.6, V12.6.0'; exit ;;
        --output-directory) directory=$2; shift ;;
        -o) output=$2; shift ;;
        *.cu) source=${1##*/} ;;
    esac
    shift
done
: > "${output:-$directory/${source%.cu}.ptx}"
"#;

/// Clippy of everything in the crate with its feature `cuda`, or a check where there is no clippy.
pub(crate) fn check_cuda() -> Outcome {
    let home = target().join("candle-cuda");
    let nvcc = home.join("toolkit/bin/nvcc");
    let failed = |error: std::io::Error| format!("{}: {error}", nvcc.display());
    fs::create_dir_all(home.join("toolkit/bin")).map_err(failed)?;
    fs::write(&nvcc, NVCC).map_err(failed)?;
    crate::run::make_executable(&nvcc)?;

    let what = ["--package", "proxyattn-candle", "--features", "cuda", "--all-targets"];
    let mut check = match exists(&mut cargo(&["clippy", "--version"])) {
        true => cargo(&["clippy"]),
        false => cargo(&["check"]),
    };
    check.args(what).arg("--target-dir").arg(&home);
    if check.get_args().next().is_some_and(|chore| chore == "clippy") {
        check.args(["--", "-D", "warnings"]);
    }
    step(check.env("NVCC", &nvcc).env("CUDA_COMPUTE_CAP", "80"))
}
