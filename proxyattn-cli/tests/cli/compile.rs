//! `compile`, and running on what it made.

use crate::machine::{Machine, snapshot};
use proxyattn_runtime::jit::{CacheDir, Env, Nvrtc};
use std::path::Path;

#[test]
fn cubins_for_several_gpus_go_into_a_directory() {
    let machine = Machine::new("compile").nvrtc();
    snapshot(
        "compile",
        &machine.run(&["compile", "groups = 4", "--arch", "sm_90a,sm_80", "--out", "kernels"]),
    );
    // The same again changes nothing; another configuration adds to it.
    let count = || CacheDir::open(&machine.path("kernels")).unwrap().unwrap().files().unwrap().len();
    let first = count();
    assert_eq!(machine.run(&["compile", "groups = 4", "--arch", "sm_80", "--out", "kernels"]).code, 0);
    assert_eq!(count(), first);
    assert_eq!(machine.run(&["compile", "groups = 2", "--arch", "sm_80", "--out", "kernels"]).code, 0);
    assert!(count() > first);
    // The directory can be looked after like the cache's.
    let verified = machine.run(&["cache", "verify", "--dir", "kernels"]);
    assert_eq!((verified.code, verified.stdout), (0, format!("intact: {} cubins\n", count())));
}

#[test]
fn what_cannot_be_compiled_is_said() {
    let machine = Machine::new("compile-errors");
    snapshot("compile_compilerless", &machine.run(&["compile", "--arch", "sm_90a", "--out", "kernels"]));
    assert!(!machine.path("kernels").exists(), "nothing is left behind");
    let machine = Machine::new("compile-errors").nvrtc();
    snapshot("compile_unknown_gpu", &machine.run(&["compile", "--arch", "sm_120", "--out", "kernels"]));
    snapshot(
        "compile_undeclared",
        &machine.run(&["compile", "arch(sm_80)", "--arch", "sm_90a", "--out", "kernels"]),
    );
    std::fs::write(machine.path("file"), "").unwrap();
    let run = machine.run(&["compile", "--arch", "sm_80", "--out", "file"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with("error: `file`: "), "{}", run.stderr);
}

/// The command that a refusal names makes what it misses: without a compiler, on a GPU that only counts launches.
#[test]
fn what_a_refusal_names_is_what_helps() {
    let mut machine = Machine::new("compile-circle").gpu("9.0");
    machine.set("PROXYATTN_JIT", "deny");
    let shape = ["--tokens", "256", "--heads", "2", "--kv-heads", "1", "--json"];
    let bench = [&["bench", "budget = all", "--device", "cuda"][..], &shape].concat();
    snapshot("bench_denied", &machine.run(&bench));

    let builder = Machine::new("compile-circle-builder").nvrtc();
    let run = builder.run(&["compile", "budget = all", "--arch", "sm_90a", "--out", "kernels"]);
    assert_eq!(run.code, 0, "{}", run.stderr);

    let dir = builder.path("kernels").display().to_string();
    machine.set("PROXYATTN_AOT_DIR", &dir);
    let run = machine.run(&bench);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["device"], &report["dense_plan"]), (&"cuda:0 (Stub, 9.0)".into(), &true.into()));
    assert!(!machine.path("home").exists(), "nothing was compiled, so nothing was stored");
    // Another GPU is another kernel.
    let other = Machine::new("compile-circle-other").gpu("8.0").without_nvrtc();
    let mut other = other;
    other.set("PROXYATTN_AOT_DIR", &dir);
    let run = other.run(&bench);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains("(PROXYATTN_AOT_DIR: no `proxyattn.dense` for sm_80)"), "{}", run.stderr);
}

/// With the compiler that the kernels are held to, where `cargo xtask kernels` has fetched it.
#[test]
fn real_cubins_have_their_kernels() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/nvrtc/13.0.88/nvidia/cu13/lib");
    if Nvrtc::open(Some(&library), &Env::default()).is_err() {
        let required = std::env::var_os("PROXYATTN_REQUIRE_NVRTC").is_some_and(|value| value == "1");
        assert!(!required, "PROXYATTN_REQUIRE_NVRTC=1, and there is no library in `{}`", library.display());
        eprintln!("not run: no library in `{}` (`cargo xtask kernels` fetches it)", library.display());
        return;
    }
    let mut machine = Machine::new("compile-real");
    machine.set("PROXYATTN_NVRTC", &library.display().to_string());
    let run =
        machine.run(&["compile", "head_dim = 64, budget = all", "--arch", "sm_90a", "--out", "kernels"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let listed = machine.run(&["cache", "ls", "--dir", "kernels"]).stdout;
    assert!(listed.contains("  sm_90a  dense  "), "{listed}");
    let inspected = machine.run(&["inspect", "head_dim = 64, budget = all"]).stdout;
    let row = inspected.lines().find(|line| line.contains("attend  dense")).unwrap();
    let figures: Vec<u32> = row.split_whitespace().rev().take(2).map(|cell| cell.parse().unwrap()).collect();
    assert!(figures[0] == 0 && figures[1] >= 24, "{row}");
}
