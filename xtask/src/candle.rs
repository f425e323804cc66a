//! The CUDA side of proxyattn-candle, where there is neither a GPU nor a CUDA toolkit.
//!
//! candle compiles kernels with `nvcc` in a build script, and its programs are linked with NVIDIA's libraries. Here a
//! script stands in for the one, and stubs for the others, among them the driver of the repository's tests: what this
//! crate does to a GPU is then told line by line, and candle's own kernels are empty files. None of this may meet a real
//! build, hence a target directory of its own.

use crate::run::{Outcome, cargo, command, exists, make_executable, step, target};
use std::fs;
use std::path::Path;

/// Writes what it is asked for, without a word in it.
const NVCC: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        --version) echo 'release 12.6, V12.6.0'; exit ;;
        --output-directory) directory=$2; shift ;;
        -o) output=$2; shift ;;
        *.cu) source=${1##*/} ;;
    esac
    shift
done
output=${output:-$directory/${source%.cu}.ptx}
case $output in
    *.a) echo '!<arch>' > "$output" ;;
    *) : > "$output" ;;
esac
"#;

/// What candle is linked with beside the driver.
const LIBRARIES: [&str; 5] = ["cudart", "cublas", "cublasLt", "curand", "nvrtc"];

/// Clippy where there is one, and the tests under the stubs.
pub(crate) fn check_cuda() -> Outcome {
    if !cfg!(target_os = "linux") {
        println!("\nskipped: the CUDA side of proxyattn-candle is checked on Linux");
        return Ok(());
    }
    let home = target().join("candle-cuda");
    let (nvcc, stubs) = (home.join("bin/nvcc"), home.join("stubs"));
    let failed = |error: std::io::Error| format!("{}: {error}", home.display());
    fs::create_dir_all(home.join("bin")).map_err(failed)?;
    fs::create_dir_all(&stubs).map_err(failed)?;
    fs::write(&nvcc, NVCC).map_err(failed)?;
    make_executable(&nvcc)?;
    for library in LIBRARIES {
        stub("proxyattn-candle/tests/stub/libraries.c", &stubs.join(format!("lib{library}.so")))?;
    }
    // Two names, since programs are linked with the one and look for the other.
    for name in ["libcuda.so", "libcuda.so.1"] {
        stub("tests/driver/stub.c", &stubs.join(name))?;
    }
    let compiler = stubs.join("libnvrtc.so.13");
    stub("tests/jit/stub.c", &compiler)?;

    // What candle and cudarc declare and nobody here calls has no definition.
    let link = "-Crelro-level=partial -Clink-arg=-Wl,-z,lazy -Clink-arg=-Wl,--unresolved-symbols=ignore-all";
    let flags = format!("-Dwarnings -Lnative={} {link}", stubs.display());
    let chore = |words: &[&str]| {
        let mut chore = cargo(words);
        chore.args(["--package", "proxyattn-candle", "--features", "cuda"]);
        chore.env("CARGO_TARGET_DIR", &home).env("RUSTFLAGS", &flags);
        // Nothing here takes long enough to be worth optimising.
        chore.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        chore.env("NVCC", &nvcc).env("CUDA_COMPUTE_CAP", "80");
        chore
            .env("PROXYATTN_TEST_STUBS", "1")
            .env("PROXYATTN_NVRTC", &compiler)
            .env("LD_LIBRARY_PATH", &stubs);
        chore
    };
    if exists(&mut cargo(&["clippy", "--version"])) {
        step(chore(&["clippy"]).arg("--all-targets"))?;
    }
    step(chore(&["test"]).args(["--test", "stub"]))
}

/// A library made of one file.
fn stub(source: &str, library: &Path) -> Outcome {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let soname = format!("-Wl,-soname,{name}");
    let output =
        command(&compiler, &["-shared", "-fPIC", "-w", &soname, "-o"]).arg(library).arg(source).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{source}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("`{}` is needed to build {source}: {error}", compiler.to_string_lossy())),
    }
}
