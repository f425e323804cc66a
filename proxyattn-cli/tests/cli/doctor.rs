//! `doctor`, on machines in every state.

use crate::machine::{Machine, snapshot};
use std::fs;

#[test]
fn nothing_is_there() {
    snapshot("doctor_nothing", &Machine::new("doctor-nothing").run(&["doctor"]));
}

#[test]
fn everything_is_there() {
    snapshot("doctor_hopper", &Machine::new("doctor-hopper").gpu("9.0").nvrtc().run(&["doctor"]));
    let ampere = Machine::new("doctor-ampere").gpu("8.0").nvrtc();
    snapshot("doctor_ampere", &ampere.run(&["doctor"]));
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
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(
        run.stdout.contains("ahead    `") && run.stdout.contains("`proxyattn compile … --out DIR` makes one"),
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
    assert!(
        run.stdout.contains("this NVRTC cannot compile for sm_86; set PROXYATTN_NVRTC to a newer one"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_driver_that_fails() {
    let mut machine = Machine::new("doctor-failing").gpu("9.0").nvrtc();
    machine.set("STUB_FAIL", "cuInit");
    let run = machine.run(&["doctor"]);
    assert_eq!(run.code, 3);
    assert!(run.stdout.contains("none that can be used: cuInit failed: "), "{}", run.stdout);
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
        "PROXYATTN_DEVICE is cpu; unset it to use a GPU",
        "up to 64.0 MiB",
        "denied (PROXYATTN_JIT=deny)",
        "off (PROXYATTN_TUNE=off): kernels run with their default tiles",
    ] {
        assert!(run.stdout.contains(part), "{part} is not in: {}", run.stdout);
    }
}
