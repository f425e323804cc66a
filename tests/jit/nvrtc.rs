//! The real NVRTC 13.0.88, as its wheel unpacks under `target/nvrtc/13.0.88`.

use crate::scratch::{Scratch, entries, not_run, options};
use proxyattn_runtime::Error;
use proxyattn_runtime::jit::{Compiler, Env, Jit, JitOptions, Nvrtc, Program, Target};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

const KERNEL: &str = r#"
extern "C" __global__ void __launch_bounds__(128) scale(float* x, float by, int n) {
    int i = blockIdx.x * 128 + threadIdx.x;
    if (i < n) x[i] = x[i] / by;
}
"#;

/// The library, or a visible note that the calling test does nothing.
fn library(test: &str) -> Option<PathBuf> {
    let library =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/nvrtc/13.0.88/nvidia/cu13/lib/libnvrtc.so.13");
    if library.exists() {
        return Some(library);
    }
    let required = std::env::var_os("PROXYATTN_REQUIRE_NVRTC").is_some_and(|value| value == "1");
    assert!(!required, "PROXYATTN_REQUIRE_NVRTC=1, and there is no `{}`", library.display());
    not_run(test, &format!("there is no `{}` (`cargo xtask kernels` fetches it)", library.display()));
    None
}

fn with(library: &Path, cache: &Path) -> JitOptions {
    let mut options = options(cache);
    options.nvrtc = Some(library.to_owned());
    options
}

#[test]
fn a_kernel_is_compiled_once_and_read_back() {
    let Some(library) = library("a_kernel_is_compiled_once_and_read_back") else { return };
    let scratch = Scratch::new("real");
    let program = Program::new("scale", KERNEL);
    let jit = Jit::new(with(&library, &scratch.path("cache"))).unwrap();
    for target in [Target::SM_80, Target::SM_90A] {
        let begun = Instant::now();
        let cubin = jit.cubin(&program, target).unwrap();
        let cold = begun.elapsed();
        assert!(cubin.bytes().starts_with(b"\x7fELF"));
        assert!(cubin.log().contains(&format!("'scale' for '{target}'")), "{}", cubin.log());
        let usage = cubin.kernel("scale").unwrap();
        assert!((1..=32).contains(&usage.registers), "{usage:?}");
        assert_eq!((usage.stack_bytes, usage.spill_stores, usage.spill_loads), (0, 0, 0));

        let begun = Instant::now();
        for _ in 0..1000 {
            jit.cubin(&program, target).unwrap();
        }
        let warm = begun.elapsed() / 1000;
        let other = Jit::new(with(&library, &scratch.path("cache"))).unwrap();
        other.discard(&Program::new("opens NVRTC, so that it is not in the time", ""), target);
        let begun = Instant::now();
        assert_eq!(other.cubin(&program, target).unwrap(), cubin);
        let disk = begun.elapsed();
        assert_eq!((other.counters().disk_hits, other.counters().compiles), (1, 0));
        println!(
            "{target}: {} bytes, {} registers; compiled {cold:?}, from disk {disk:?}, from memory {warm:?}",
            cubin.bytes().len(),
            usage.registers
        );
    }
    let counters = jit.counters();
    assert_eq!((counters.compiles, counters.memory_hits, counters.io_errors), (2, 2000, 0));
    assert_eq!(entries(&scratch.path("cache")).len(), 2);
}

#[test]
fn a_spill_is_seen() {
    let Some(library) = library("a_spill_is_seen") else { return };
    let nvrtc = Nvrtc::open(Some(&library), &Env::default()).unwrap();
    let spilling = r#"
extern "C" __global__ void __launch_bounds__(1024) spill(float* x) {
    float a[96];
    #pragma unroll
    for (int i = 0; i < 96; ++i) a[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
    #pragma unroll
    for (int i = 0; i < 96; ++i) x[threadIdx.x * 96 + i] = a[i] * a[(i * 7 + 1) % 96] + a[(i * 5 + 2) % 96];
}
"#;
    let cubin = nvrtc.compile(&Program::new("spill", spilling), Target::SM_90A).unwrap();
    let usage = cubin.kernel("spill").unwrap();
    assert!(usage.spill_stores > 0 && usage.spill_loads > 0 && usage.stack_bytes > 0, "{usage:?}");
    assert!(cubin.log().contains("Registers are spilled"), "{}", cubin.log());
}

#[test]
fn a_source_that_does_not_compile_can_be_read() {
    let Some(library) = library("a_source_that_does_not_compile_can_be_read") else { return };
    let scratch = Scratch::new("refused");
    let wrong = KERNEL.replace("x[i] / by", "x[i] / bye");
    let program = Program::new("scale by", wrong.clone());
    let jit = Jit::new(with(&library, &scratch.path("cache"))).unwrap();
    let error = jit.cubin(&program, Target::SM_90A).unwrap_err();
    let Error::Compile { source_path: Some(path), log, .. } = &error else { panic!("{error}") };
    assert_eq!(fs::read_to_string(path).unwrap(), wrong);
    assert!(path.starts_with(scratch.path("cache/failed")), "{}", path.display());
    assert!(log.contains("identifier \"bye\" is undefined"), "{log}");
    let told = error.to_string();
    assert!(told.starts_with("`scale by` does not compile for sm_90a; the source was saved as `"), "{told}");
    assert!(told.contains("\n    scale by(4): error: "), "{told}");
    println!("{told}");

    // Where nothing can be written the log is told all the same.
    fs::write(scratch.path("file"), "").unwrap();
    let jit = Jit::new(with(&library, &scratch.path("file/cache"))).unwrap();
    let error = jit.cubin(&program, Target::SM_90A).unwrap_err();
    assert!(matches!(&error, Error::Compile { source_path: None, .. }));
    assert!(error.to_string().contains("\"bye\" is undefined"), "{error}");
}

#[test]
fn threads_compile_side_by_side() {
    let Some(library) = library("threads_compile_side_by_side") else { return };
    let scratch = Scratch::new("side");
    let jit = Jit::new(with(&library, &scratch.path("cache"))).unwrap();
    let alone = Program::new("scale", KERNEL).option("-DN=0");
    let expected = jit.cubin(&alone, Target::SM_80).unwrap();
    std::thread::scope(|scope| {
        for n in 1..5 {
            let (jit, expected) = (&jit, &expected);
            scope.spawn(move || {
                let program = Program::new("scale", KERNEL).option(format!("-DN={n}"));
                let cubin = jit.cubin(&program, Target::SM_80).unwrap();
                assert_eq!(cubin.bytes(), expected.bytes(), "an unused definition changes no code");
            });
        }
    });
    assert_eq!(jit.counters().compiles, 5);
}
