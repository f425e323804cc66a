//! A CUDA driver that is missing, incomplete or failing: typed errors, never a panic.
//!
//! The driver is a stub that the system's C compiler makes. It is found through the dynamic linker's path, which a
//! process cannot change for itself, so every case runs in a child: this test again, told what to do by a variable.

use proxyattn::{Device, Error};
use std::{path::Path, path::PathBuf, process::Command};

/// What `Device::cuda` needs of the driver, with something harmless to answer.
const CALLS: &[(&str, &str)] = &[
    ("cuInit", "(unsigned f)"),
    ("cuDeviceGet", "(int *d, int o)"),
    ("cuDevicePrimaryCtxRetain", "(void **c, int d)"),
    ("cuDeviceGetAttribute", "(int *v, int a, int d)"),
    ("cuCtxSetCurrent", "(void *c)"),
    ("cuStreamCreate", "(void **s, unsigned f)"),
    ("cuDeviceGetName", "(char *n, int l, int d)"),
];

/// The rest of what is looked up before anything is called.
const OTHERS: &[&str] = &[
    "cuDeviceGetCount",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxSynchronize",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuMemAlloc_v2",
    "cuMemAllocAsync",
    "cuMemFree_v2",
    "cuMemFreeAsync",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuFuncSetAttribute",
    "cuLaunchKernel",
];

/// `CUDA_ERROR_UNKNOWN`.
const FAILURE: i32 = 999;

/// A driver in which `fails` fails and `lacks` is not there; attributes read 0.
fn stub(dir: &Path, fails: &str, lacks: &str) -> PathBuf {
    let mut source = String::new();
    for (name, params) in CALLS {
        let code = if *name == fails { FAILURE } else { 0 };
        let effect = match *name {
            "cuDeviceGetAttribute" => "*v = 0;",
            "cuDeviceGetName" => "n[0] = 'G'; n[1] = 0;",
            "cuDevicePrimaryCtxRetain" => "*c = (void *)16;",
            "cuStreamCreate" => "*s = (void *)32;",
            "cuDeviceGet" => "*d = 0;",
            _ => "",
        };
        source += &format!("int {name}{params} {{ {effect} return {code}; }}\n");
    }
    source += "int cuCtxGetCurrent(void **c) { *c = 0; return 0; }\n";
    source += "int cuGetErrorName(int e, const char **s) { *s = \"STUB\"; return 0; }\n";
    source += "int cuGetErrorString(int e, const char **s) { *s = \"stub\"; return 0; }\n";
    for name in OTHERS.iter().filter(|name| **name != lacks) {
        source += &format!("int {name}(void) {{ return 0; }}\n");
    }
    std::fs::create_dir_all(dir).expect("a directory for the stub");
    let (file, library) = (dir.join("cuda.c"), dir.join("libcuda.so.1"));
    std::fs::write(&file, source).expect("the stub's source");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let status =
        Command::new(&compiler).args(["-shared", "-fPIC", "-w", "-o"]).arg(&library).arg(&file).status();
    assert!(status.is_ok_and(|status| status.success()), "`{compiler}` is needed to build the stub driver");
    std::fs::copy(&library, dir.join("libcuda.so")).expect("the driver's other name");
    dir.to_owned()
}

/// What a child says of `Device::cuda(0)` and `Device::auto()` with a driver from `dir` alone.
fn told(dir: &Path) -> String {
    let exe = std::env::current_exe().expect("this test");
    let child = Command::new(exe)
        .args(["child", "--exact", "--nocapture"])
        .env("PROXYATTN_TEST_DRIVER", "1")
        .env("LD_LIBRARY_PATH", dir)
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "the child panicked: {text}{}", String::from_utf8_lossy(&child.stderr));
    text
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("driver-{name}"))
}

/// The child's part; nothing unless a parent asks for it.
#[test]
fn child() {
    if std::env::var_os("PROXYATTN_TEST_DRIVER").is_none() {
        return;
    }
    match Device::cuda(0) {
        Ok(device) => println!("told: a device, {device:?}"),
        Err(Error::Unavailable { what, why, help }) => println!("told: unavailable {what}; {why}; {help}"),
        Err(Error::Cuda { call, code, why }) => println!("told: cuda {call} {code} {why}"),
        Err(other) => println!("told: something else, {other}"),
    }
    assert_eq!(Device::auto(), Device::Cpu, "the CPU is always there");
    assert!(Device::why_not_cuda().is_some());
}

#[test]
fn a_driver_without_a_symbol_is_named() {
    let text = told(&stub(&scratch("lacks"), "", "cuModuleLoadData"));
    assert!(
        text.contains("unavailable CUDA; the driver library") && text.contains("lacks cuModuleLoadData"),
        "{text}"
    );
    assert!(text.contains("update the NVIDIA driver"), "{text}");
}

#[test]
fn every_call_may_fail() {
    for (name, _) in CALLS {
        let text = told(&stub(&scratch(name), name, ""));
        assert!(text.contains("told: cuda") && text.contains("999"), "{name}: {text}");
    }
}

#[test]
fn an_old_gpu_is_refused() {
    let text = told(&stub(&scratch("old"), "", "")); // its attributes, so its compute capability, read 0
    assert!(text.contains("compute capability is 0.0") && text.contains("Ampere"), "{text}");
}

#[test]
fn a_missing_driver_says_where_it_was_looked_for() {
    if Device::why_not_cuda().is_none() {
        return eprintln!("not run: this machine has a driver");
    }
    let dir = scratch("nothing");
    std::fs::create_dir_all(&dir).expect("an empty directory");
    let text = told(&dir);
    assert!(text.contains("told: "), "{text}");
    assert!(text.contains("libcuda.so.1") || text.contains("cuda "), "{text}");
}
