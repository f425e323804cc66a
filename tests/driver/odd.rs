//! Machines that are not as they should be: what is said of each, and what runs there all the same.

use crate::child::Sparse;
use crate::{nvrtc, path, scratch, told, whole};
use proxyattn::Device;
use std::path::{Path, PathBuf};

/// The child's part: the device that programs get, and a kernel on it.
pub(crate) fn run() {
    match Device::from_env() {
        Ok(device) => println!("named: {device}"),
        Err(error) => println!("named: error: {error}"),
    }
    if let Some(error) = Device::why_not_cuda() {
        println!("why: {error}");
    }
    let device = Device::auto();
    println!("auto: {device}");
    match Sparse::load(&device) {
        Ok(attention) => println!("loaded: {:?}", attention.arch().map(|arch| arch.as_str())),
        Err(error) => println!("loaded: error: {}", error.to_string().replace('\n', " ")),
    }
}

/// What the child says behind a word, with the stub driver, a GPU and some more variables.
fn says(dir: &Path, variables: &[(&str, &str)], word: &str) -> String {
    let text = told("odd", dir, &[&[("STUB_CAPABILITY", "9.0")], variables].concat());
    let line = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("{word} is not in: {text}")).to_owned()
}

fn assert_tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

/// A stub of NVRTC of that version.
fn compiler(major: u32, minor: u32) -> PathBuf {
    let definitions = [format!("MAJOR={major}"), format!("MINOR={minor}")];
    let dir = scratch(&format!("nvrtc-{major}.{minor}"));
    nvrtc::library(&dir, &definitions.each_ref().map(String::as_str))
}

/// A driver whose library has a version in its name.
fn versioned() -> PathBuf {
    let dir = scratch("versioned");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::copy(whole().join("libcuda.so"), dir.join("libcuda.so.570.86.15")).expect("a copy");
    for name in ["libcuda.so", "libcuda.so.1"] {
        let _ = std::fs::remove_file(dir.join(name));
        std::os::unix::fs::symlink("libcuda.so.570.86.15", dir.join(name)).expect("a link");
    }
    dir
}

#[test]
fn the_linkers_own_reason_is_told() {
    let dir = scratch("empty-driver");
    std::fs::create_dir_all(&dir).expect("a directory");
    for name in ["libcuda.so", "libcuda.so.1"] {
        std::fs::write(dir.join(name), "").expect("an empty file");
    }
    let why = says(&dir, &[], "why");
    let library = dir.join("libcuda.so.1");
    assert_tells(&why, &[&format!("libcuda.so.1 ({}: file too short)", library.display()), "Device::cpu()"]);
    assert!(says(&dir, &[], "auto").starts_with("cpu"));
}

/// Each code that a driver refuses a machine with, whatever call it comes from first.
#[test]
fn what_the_driver_means_by_a_code_is_told_with_its_versions() {
    let dir = versioned();
    let library = dir.join("libcuda.so");
    for (code, name, parts) in [
        ("34", "STUB_LIBRARY", ["stub that toolkits are linked with", "LD_LIBRARY_PATH"]),
        ("46", "DEVICE_UNAVAILABLE", ["another process has the GPU", "nvidia-smi -c DEFAULT"]),
        ("100", "NO_DEVICE", ["the driver finds no GPU", "CUDA_VISIBLE_DEVICES is `7`"]),
        ("802", "SYSTEM_NOT_READY", ["not ready for CUDA", "fabric manager"]),
        ("803", "SYSTEM_DRIVER_MISMATCH", ["the kernel's module are of two versions", "reboot"]),
        ("804", "COMPAT_NOT_SUPPORTED_ON_DEVICE", ["forward compatibility", "cuda-compat"]),
    ] {
        for call in ["cuInit", "cuDeviceGetCount", "cuDevicePrimaryCtxRetain"] {
            let variables = [
                ("STUB_FAIL", call),
                ("STUB_CODE", code),
                ("STUB_VERSION", "12080"),
                ("CUDA_VISIBLE_DEVICES", "7"),
            ];
            let why = says(&dir, &variables, "why");
            let versions =
                format!("the library is {} of version 570.86.15, for CUDA 12.8", library.display());
            assert_tells(&why, &parts);
            assert_tells(&why, &[&format!("{name}, {code})"), &versions, "the kernel"]);
            assert!(says(&dir, &variables, "auto").starts_with("cpu"));
        }
        // A driver of which nothing works tells no version either.
        let why = says(&dir, &[("STUB_FAIL", "*"), ("STUB_CODE", code)], "why");
        assert_tells(&why, &[name, parts[0], "which does not tell its CUDA version"]);
    }
}

/// The NVRTC and the driver with both versions, and which of them has to change.
#[test]
fn a_cubin_that_the_driver_refuses_names_both_versions() {
    let newer = compiler(13, 1);
    for (code, name) in
        [("209", "NO_BINARY_FOR_GPU"), ("200", "INVALID_IMAGE"), ("222", "UNSUPPORTED_PTX_VERSION")]
    {
        let cache = scratch(&format!("refused-{code}"));
        let variables = [
            ("STUB_FAIL", "cuModuleLoadData"),
            ("STUB_CODE", code),
            ("STUB_VERSION", "12040"),
            ("PROXYATTN_NVRTC", path(&newer)),
            ("PROXYATTN_CACHE_DIR", path(&cache)),
        ];
        let loaded = says(whole(), &variables, "loaded");
        assert_tells(
            &loaded,
            &[
                "for sm_90a: the driver, CUDA 12.4",
                "rejects the cubin made by NVRTC 13.1",
                name,
                "update the driver to CUDA 13.1 or later",
                "NVRTC of CUDA 12.4 or older (`pip install 'nvidia-cuda-nvrtc-cu12<=12.4.999'`)",
            ],
        );
    }
    // Where the compiler is not newer, it is not blamed.
    let cache = scratch("refused-same");
    let variables =
        [("STUB_FAIL", "cuModuleLoadData"), ("STUB_CODE", "209"), ("PROXYATTN_CACHE_DIR", path(&cache))];
    let loaded = says(whole(), &variables, "loaded");
    assert_tells(
        &loaded,
        &["the driver, CUDA 13.0", "rejects the cubin made by NVRTC 13.0", "no newer than the driver"],
    );
}

/// Where NVRTC is older than Hopper's own target, the portable kernels run on Hopper; where it is older than Hopper, none.
#[test]
fn an_old_compiler_makes_portable_kernels_for_hopper() {
    for ((major, minor), arch) in [((11, 8), "sm_80"), ((12, 0), "sm_90a")] {
        let library = compiler(major, minor);
        let cache = scratch(&format!("portable-{major}.{minor}"));
        let variables = [("PROXYATTN_NVRTC", path(&library)), ("PROXYATTN_CACHE_DIR", path(&cache))];
        assert_eq!(says(whole(), &variables, "loaded"), format!("Some({arch:?})"), "NVRTC {major}.{minor}");
        // What was compiled then is found where nothing may be compiled.
        let denied = [&variables[..], &[("PROXYATTN_JIT", "deny")]].concat();
        assert_eq!(says(whole(), &denied, "loaded"), format!("Some({arch:?})"), "NVRTC {major}.{minor}");
        // And the whole way: every stage has its kernels, those of the portable family. `dense` of Hopper alone counts tiles.
        let text = told("run", whole(), &[&[("STUB_CAPABILITY", "9.0")], &variables[..]].concat());
        assert!(text.contains("\ndone\n"), "{text}");
        let cleared = crate::lines(&text, "dense", "memset ").len();
        assert_eq!(cleared, usize::from(arch == "sm_90a"), "{text}");
    }
}

/// Where neither family is stored and nothing may be compiled, the error is that of Hopper's own.
#[test]
fn what_is_denied_is_told_of_hoppers_own() {
    let (library, cache) = (compiler(11, 8), scratch("portable-denied"));
    let variables = [
        ("PROXYATTN_NVRTC", path(&library)),
        ("PROXYATTN_CACHE_DIR", path(&cache)),
        ("PROXYATTN_JIT", "deny"),
    ];
    let loaded = says(whole(), &variables, "loaded");
    assert_tells(&loaded, &["error: `Sparse.", "for sm_90a is not stored", "PROXYATTN_JIT=deny"]);
}

/// Names of devices: in any case, of any GPU that is there, and otherwise an error that lists them.
#[test]
fn the_device_of_the_environment_is_used_or_is_an_error() {
    let named =
        |value: &str, word: &str| says(whole(), &[("STUB_GPUS", "2"), ("PROXYATTN_DEVICE", value)], word);
    for cpu in ["cpu", "CPU", "Cpu"] {
        assert!(named(cpu, "auto").starts_with("cpu"), "{cpu}");
        assert_eq!(named(cpu, "loaded"), "None");
    }
    for (value, device) in
        [("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"), ("CUDA:1", "cuda:1")]
    {
        assert!(named(value, "auto").starts_with(device), "{value}");
        assert_eq!(named(value, "loaded"), "Some(\"sm_90a\")");
    }
    let expected = "`PROXYATTN_DEVICE`: expected `auto`, `cpu`, `cuda` or `cuda:N`";
    for value in ["gpu", "cuda:x", "0"] {
        for word in ["named", "why", "loaded"] {
            assert_tells(&named(value, word), &[expected, &format!("got `{value}`")]);
        }
    }
    // A GPU that is not there.
    let missing = named("cuda:2", "named");
    assert_tells(&missing, &["cuda:2 is not available: the driver has 2 GPUs, counted from cuda:0"]);
    assert!(named("cuda:2", "auto").starts_with("cpu"));
}

/// Every variable that decides something is checked by every load, whatever it runs on.
#[test]
fn a_variable_that_means_nothing_fails_the_load() {
    for (variable, wrong) in [
        ("PROXYATTN_CPU", "sse"),
        ("PROXYATTN_JIT", "perhaps"),
        ("PROXYATTN_TUNE", "now"),
        ("PROXYATTN_CACHE_MIB", "much"),
    ] {
        for device in ["cpu", "cuda"] {
            let loaded = says(whole(), &[(variable, wrong), ("PROXYATTN_DEVICE", device)], "loaded");
            assert_tells(&loaded, &[&format!("error: `{variable}`: expected "), &format!("got `{wrong}`")]);
        }
    }
    for (variable, right) in
        [("PROXYATTN_CPU", "AVX2"), ("PROXYATTN_JIT", "Allow"), ("PROXYATTN_TUNE", "OFF")]
    {
        assert_eq!(says(whole(), &[(variable, right), ("PROXYATTN_DEVICE", "cpu")], "loaded"), "None");
    }
    // A GPU is not left for the CPU because of a variable that only the GPU's kernels read.
    let loaded = says(whole(), &[("PROXYATTN_AOT_DIR", "/nowhere")], "loaded");
    assert_tells(
        &loaded,
        &["error: `PROXYATTN_AOT_DIR`: expected a directory that `proxyattn compile` made"],
    );
}
