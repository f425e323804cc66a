//! `doctor`, on machines in every state.

use crate::machine::{Machine, snapshot};
use std::fs;

#[test]
fn nothing_is_there() {
    let machine = Machine::new("doctor-nothing");
    snapshot("doctor_nothing", &machine.run(&["doctor"]));
    snapshot("doctor_nothing_verbose", &machine.run(&["doctor", "--verbose"]));
}

#[test]
fn everything_is_there() {
    snapshot("doctor_hopper", &Machine::new("doctor-hopper").gpu("9.0").nvrtc().run(&["doctor"]));
    let ampere = Machine::new("doctor-ampere").gpu("8.0").nvrtc();
    snapshot("doctor_ampere", &ampere.run(&["doctor"]));
    snapshot("doctor_ampere_verbose", &ampere.run(&["doctor", "--verbose"]));
}

#[test]
fn a_gpu_that_is_too_old() {
    snapshot("doctor_old", &Machine::new("doctor-old").gpu("7.5").nvrtc().run(&["doctor"]));
}

#[test]
fn a_gpu_without_a_compiler() {
    let mut machine = Machine::new("doctor-compilerless").gpu("9.0");
    snapshot("doctor_compilerless", &machine.run(&["doctor"]));
    // Kernels that were compiled elsewhere make up for it.
    let dir = machine.path("kernels").display().to_string();
    machine.set("PROXYATTN_AOT_DIR", &dir);
    machine.set("PROXYATTN_JIT", "deny");
    let run = machine.run(&["doctor"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(
        run.stdout.contains("ahead    `")
            && run.stdout.contains("`proxyattn compile … --out DIR` creates one"),
        "{}",
        run.stdout
    );
    fs::create_dir(machine.path("kernels")).unwrap();
    let run = machine.run(&["doctor"]);
    assert_eq!(run.code, 3, "an empty directory is of no use: {}", run.stdout);

    let builder = Machine::new("doctor-builder").nvrtc();
    assert_eq!(builder.run(&["compile", "budget = all", "--arch", "sm_90a", "--out", &dir]).code, 0);
    snapshot("doctor_ahead", &machine.run(&["doctor"]));
}

#[test]
fn a_compiler_that_does_not_know_the_gpu() {
    let run = Machine::new("doctor-newer").gpu("8.6").nvrtc().run(&["doctor"]);
    assert_eq!(run.code, 3);
    assert!(run.stdout.contains("cannot compile for sm_86, which needs CUDA 11.1: it supports sm_80, sm_90"));
    let verdict = "This machine: no kernel can be loaded on cuda:0 (Stub, 8.6).\n  `";
    assert!(run.stdout.starts_with(verdict), "{}", run.stdout);
}

#[test]
fn a_driver_that_fails() {
    let mut machine = Machine::new("doctor-failing").gpu("9.0").nvrtc();
    machine.set("STUB_FAIL", "cuInit");
    let run = machine.run(&["doctor"]);
    assert_eq!(run.code, 3);
    let verdict = "This machine: CPU only (no usable GPU).\n  cuInit failed: ";
    assert!(run.stdout.starts_with(verdict), "{}", run.stdout);
}

#[test]
fn what_the_environment_says_is_told() {
    let mut machine = Machine::new("doctor-environment").gpu("9.0").nvrtc();
    machine.set("PROXYATTN_DEVICE", "cpu");
    machine.set("PROXYATTN_CACHE_DIR", "/proc/nowhere");
    machine.set("PROXYATTN_CACHE_MIB", "64");
    machine.set("PROXYATTN_JIT", "deny");
    machine.set("PROXYATTN_TUNE", "off");
    let run = machine.run(&["doctor"]);
    assert_eq!(run.code, 3);
    for part in [
        "This machine: CPU only (PROXYATTN_DEVICE is cpu).\n  unset it to use a GPU",
        "not used, so every process recompiles: `/proc/nowhere`: ",
        "denied (PROXYATTN_JIT=deny)",
        "off (PROXYATTN_TUNE=off): kernels use their default tiles",
    ] {
        assert!(run.stdout.contains(part), "{part} is not in: {}", run.stdout);
    }
}

/// NVRTC 11.8 lists 90 and does not have `sm_90a`: the portable kernels run on Hopper, and nothing else is promised.
#[test]
fn a_compiler_that_is_older_than_hoppers_own_kernels() {
    let mut machine = Machine::new("doctor-portable").gpu("9.0");
    let library = machine.library("nvrtc", &["MAJOR=11", "MINOR=8"]);
    machine.set("PROXYATTN_NVRTC", &library);
    snapshot("doctor_portable", &machine.run(&["doctor"]));
    snapshot("compile_portable", &machine.run(&["compile", "", "--arch", "sm_90a", "--out", "kernels"]));
    let run = machine.run(&["compile", "budget = all", "--arch", "sm_90,sm_80", "--out", "kernels"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

/// A toolkit without the builtins, and a whole wheel behind it.
#[test]
fn half_a_compiler_before_a_whole_one() {
    let mut machine = Machine::new("doctor-half").gpu("9.0");
    machine.set("PROXYATTN_NVRTC", "");
    machine.library("cuda/lib64", &["FAIL=\"nvrtcCompileProgram\"", "CODE=7"]);
    let home = |name: &str| machine.path(name).display().to_string();
    let (cuda, venv) = (home("cuda"), home("venv"));
    let wheel = "venv/lib/python3.12/site-packages/nvidia/cu13/lib";
    machine.library(wheel, &["MAJOR=13", "MINOR=0"]);
    machine.set("CUDA_HOME", &cuda);
    machine.set("VIRTUAL_ENV", &venv);
    snapshot("doctor_half", &machine.run(&["doctor", "--verbose"]));
    let run = machine.run(&["compile", "budget = all", "--arch", "sm_90a", "--out", "kernels"]);
    assert_eq!(run.code, 0, "what `doctor` finds compiles: {}", run.stderr);
    // Alone, and named, it is the error.
    let half = machine.path("cuda/lib64").display().to_string();
    machine.set("PROXYATTN_NVRTC", &half);
    snapshot(
        "compile_half",
        &machine.run(&["compile", "budget = all", "--arch", "sm_90a", "--out", "kernels"]),
    );
    assert_eq!(machine.run(&["doctor"]).code, 3);
}

/// A home in which nobody, not even root, makes a directory: `doctor` has tried, and commands that compile say it once.
#[test]
fn a_cache_that_cannot_be_made() {
    let mut machine = Machine::new("doctor-uncached").gpu("9.0").nvrtc();
    machine.set("HOME", "/dev/null");
    snapshot("doctor_uncached", &machine.run(&["doctor"]));
    let run = machine.run(&["compile", "", "--arch", "sm_90a,sm_80", "--out", "kernels"]);
    assert_eq!((run.code, run.stderr.matches("warning: ").count()), (0, 1), "{}", run.stderr);
    assert_eq!(machine.run(&["cache", "ls"]).code, 1, "a path through a device is no empty cache");
    // One that can be made is not there afterwards.
    let home = machine.path("home").display().to_string();
    machine.set("HOME", &home);
    assert!(machine.run(&["doctor"]).stdout.contains(": the first compilation creates it; limit "));
    assert!(!machine.path("home").exists());
}

/// Variables that mean nothing, and names that nothing reads.
#[test]
fn an_environment_that_means_nothing() {
    let mut machine = Machine::new("doctor-nonsense").gpu("9.0").nvrtc();
    machine.set("PROXYATTN_DEVICE", "gpu");
    machine.set("PROXYATTN_DEVCE", "cpu");
    snapshot("doctor_nonsense", &machine.run(&["doctor"]));
    for command in [&["bench", "--tokens", "512"][..], &["tune"], &["inspect"], &["cache", "ls"]] {
        let run = machine.run(command);
        assert_eq!(run.code, 2, "{command:?}: {}", run.stderr);
        assert!(
            run.stderr.contains("`PROXYATTN_DEVICE`: expected `auto`, `cpu`, `cuda` or `cuda:N`"),
            "{command:?}"
        );
    }
    machine.set("PROXYATTN_DEVICE", "CPU");
    let run = machine.run(&["doctor"]);
    assert!(run.code == 3 && run.stdout.contains("CPU only (PROXYATTN_DEVICE is cpu)"));
    machine.set("STUB_GPUS", "2");
    machine.set("PROXYATTN_DEVICE", "cuda:1");
    let run = machine.run(&["doctor"]);
    assert!(
        run.code == 0 && run.stdout.starts_with("This machine: kernels run on cuda:1 ("),
        "{}",
        run.stdout
    );
    for (variable, value) in [("PROXYATTN_CPU", "sse"), ("PROXYATTN_JIT", "no"), ("PROXYATTN_CACHE_MIB", "x")]
    {
        machine.set(variable, value);
        let run = machine.run(&["doctor"]);
        assert!(
            run.code == 2 && run.stdout.contains(&format!(" is corrected.\n  `{variable}`: expected ")),
            "{}",
            run.stdout
        );
        machine.set(variable, "");
    }
}

/// `PROXYATTN_CPU` limits the instruction set of the CPU backend, in any case.
#[test]
fn an_instruction_set_is_chosen() {
    let mut machine = Machine::new("doctor-isa");
    machine.set("PROXYATTN_CPU", "Portable");
    let run = machine.run(&["doctor"]);
    assert!(run.stdout.contains("cpu      portable, "), "{}", run.stdout);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        machine.set("PROXYATTN_CPU", "avx2");
        let run = machine.run(&["doctor"]);
        assert!(run.stdout.contains("cpu      AVX2, "), "{}", run.stdout);
    }
}

/// The device that is named on the command line is spelled as in the environment.
#[test]
fn a_device_on_the_command_line() {
    let mut machine = Machine::new("bench-device").gpu("9.0").nvrtc();
    machine.set("STUB_GPUS", "2");
    let bench = |device: &str| machine.run(&["bench", "--tokens", "512", "--runs", "1", "--device", device]);
    for (name, device) in [("CPU", "cpu"), ("cuda:1", "cuda:1"), ("CUDA", "cuda:0"), ("auto", "cuda:0")] {
        let run = bench(name);
        assert!(
            run.code == 0 && run.stdout.starts_with(&format!("{device} (")),
            "{name}: {}{}",
            run.stdout,
            run.stderr
        );
    }
    let run = bench("gpu");
    assert!(
        run.code == 2 && run.stderr.contains("expected `auto`, `cpu`, `cuda` or `cuda:N`"),
        "{}",
        run.stderr
    );
    let run = bench("cuda:2");
    assert!(
        run.code == 3 && run.stderr.contains("the driver has 2 GPUs, counted from cuda:0"),
        "{}",
        run.stderr
    );
}

/// A driver without a GPU, one that does not fit the kernel's module, and one that is older than the compiler.
#[test]
fn a_driver_that_cannot_be_used() {
    let mut machine = Machine::new("doctor-no-device").gpu("9.0").nvrtc();
    machine.set("STUB_FAIL", "cuInit");
    machine.set("STUB_CODE", "100");
    snapshot("doctor_no_device", &machine.run(&["doctor"]));
    machine.set("STUB_FAIL", "*");
    let run = machine.run(&["doctor"]);
    assert!(
        run.code == 3 && run.stdout.contains("the driver finds no GPU (cuInit: NO_DEVICE, 100)"),
        "{}",
        run.stdout
    );
    machine.set("STUB_CODE", "803");
    let run = machine.run(&["doctor"]);
    assert!(run.code == 3 && run.stdout.contains("(cuInit: SYSTEM_DRIVER_MISMATCH, 803)"), "{}", run.stdout);

    let mut machine = Machine::new("doctor-old-driver").gpu("9.0").nvrtc();
    machine.set("STUB_FAIL", "cuModuleLoadData");
    machine.set("STUB_CODE", "209");
    machine.set("STUB_VERSION", "12040");
    snapshot("doctor_old_driver", &machine.run(&["doctor"]));
    snapshot("bench_old_driver", &machine.run(&["bench", "--tokens", "512", "--device", "cuda"]));
}

/// Nothing is stored and nothing may be compiled: that is not ready.
#[test]
fn nothing_stored_and_nothing_allowed() {
    let mut machine = Machine::new("doctor-denied").gpu("9.0").nvrtc();
    machine.set("PROXYATTN_JIT", "deny");
    let run = machine.run(&["doctor"]);
    assert!(run.code == 3 && run.stdout.contains("\n  no kernel is stored, and compiling is not allowed"));
}
