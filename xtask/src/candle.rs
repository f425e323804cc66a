//! The CUDA side of proxyattn-candle, where there is neither a GPU nor a CUDA toolkit.
//!
//! candle compiles kernels with `nvcc` in a build script, and its programs are linked with NVIDIA's libraries. Here a
//! script replaces `nvcc`, and stubs replace the libraries, among them the driver stub of the repository's tests, which
//! logs every call. candle's own kernels are empty files. None of this may mix with a real build, hence a separate target
//! directory.

use crate::run::{Outcome, cargo, command, exists, make_executable, step, target};
use std::fs;
use std::path::Path;

/// Writes the requested output files, empty.
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

/// The libraries that candle links besides the driver.
const LIBRARIES: [&str; 5] = ["cudart", "cublas", "cublasLt", "curand", "nvrtc"];

/// Runs the tests on the stubs, or with `--gpu` the GPU tests on the machine's driver. If clippy is installed, it replaces
/// the compiler, because linting and compiling separately would build candle and its dependencies twice.
pub(crate) fn cuda(args: &[String]) -> Outcome {
    let gpu = match args {
        [] => false,
        [flag] if flag == "--gpu" => true,
        _ => return Err(format!("candle-cuda: expected nothing or --gpu, got {args:?}")),
    };
    if !cfg!(target_os = "linux") {
        println!("\nskipped: the CUDA side of proxyattn-candle is checked on Linux");
        return Ok(());
    }
    let home = target().join("candle-cuda");
    let (bin, libraries, driver) = (home.join("bin"), home.join("libraries"), home.join("driver"));
    for dir in [&bin, &libraries, &driver] {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    let nvcc = bin.join("nvcc");
    fs::write(&nvcc, NVCC).map_err(|error| format!("{}: {error}", nvcc.display()))?;
    make_executable(&nvcc)?;
    for library in LIBRARIES {
        stub("proxyattn-candle/tests/stub/libraries.c", &libraries.join(format!("lib{library}.so")), &[])?;
    }
    stub("tests/driver/stub.c", &driver.join("libcuda.so.1"), &[])?;
    let compiler = driver.join("libnvrtc.so.13");
    stub("tests/jit/stub.c", &compiler, &[])?;

    // Programs are linked against the unversioned name of the driver, and load the versioned one.
    fs::write(driver.join("libcuda.so"), "INPUT(libcuda.so.1)")
        .map_err(|error| format!("{}: {error}", driver.display()))?;
    // Functions that candle and cudarc declare but these tests never call have no definition.
    let link = "-Crelro-level=partial -Clink-arg=-Wl,-z,lazy -Clink-arg=-Wl,--unresolved-symbols=ignore-all";
    let search = format!("-Lnative={} -Lnative={}", libraries.display(), driver.display());
    let flags = format!("-Dwarnings {search} {link}");
    let linted = exists(&mut cargo(&["clippy", "--version"]));
    let task = |words: &[&str]| {
        let mut task = cargo(words);
        if linted {
            task.args(["--config", "build.rustc-workspace-wrapper='clippy-driver'"]);
        }
        task.args(["--package", "proxyattn-candle", "--features", "cuda"]);
        task.env("CARGO_TARGET_DIR", &home).env("RUSTFLAGS", &flags);
        // Nothing here takes long enough to be worth optimising.
        task.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        task.env("NVCC", &nvcc).env("CUDA_COMPUTE_CAP", "80");
        task
    };
    step(task(&["test"]).args(["--all-targets", "--no-run"]))?;
    let searched = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let path = |ours: &[&Path]| {
        let known = std::env::split_paths(&searched).filter(|dir| !dir.as_os_str().is_empty());
        let dirs = ours.iter().map(|dir| dir.to_path_buf()).chain(known);
        std::env::join_paths(dirs).map_err(|error| format!("LD_LIBRARY_PATH: {error}"))
    };
    let mut test = task(&["test"]);
    if gpu {
        test.args(["--test", "cuda"]).env("PROXYATTN_GPU", "1").env("LD_LIBRARY_PATH", path(&[&libraries])?);
    } else {
        test.args(["--test", "stub", "--test", "cuda"]);
        test.env("PROXYATTN_TEST_STUBS", "1").env("PROXYATTN_NVRTC", &compiler);
        test.env("LD_LIBRARY_PATH", path(&[&libraries, &driver])?);
    }
    step(&mut test)
}

/// Builds a library from one file.
pub(crate) fn stub(source: &str, library: &Path, definitions: &[&str]) -> Outcome {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let soname = format!("-Wl,-soname,{name}");
    let output = command(&compiler, &["-shared", "-fPIC", "-w", &soname, "-o"])
        .arg(library)
        .args(definitions)
        .arg(source)
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{source}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("`{}` is needed to build {source}: {error}", compiler.to_string_lossy())),
    }
}
