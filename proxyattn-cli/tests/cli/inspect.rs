//! `inspect`: plans, kernels and buffers.

use crate::machine::{Machine, snapshot};
use proxyattn_runtime::dense_below;

#[test]
fn a_plan_is_told_without_a_compiler() {
    let machine = Machine::new("inspect");
    let long = ["--tokens", "32768", "--heads", "32", "--kv-heads", "8"];
    let run =
        |attribute: &str, more: &[&str]| machine.run(&[&["inspect", attribute][..], &long, more].concat());
    snapshot("inspect_sparse", &run("block = 64, groups = 4", &["--no-compile"]));
    snapshot(
        "inspect_portable",
        &run("stride = 4", &["--no-compile", "--arch", "sm_80", "--multiprocessors", "64"]),
    );
    snapshot("inspect_dense", &run("budget = all", &["--no-compile", "--arch", "sm_80"]));
    snapshot("inspect_compilerless", &run("budget = all", &[]));
    let short = machine.run(&["inspect", "--tokens", "300", "--q-tokens", "100", "--no-compile"]);
    assert!(short.stdout.contains("so short that the budget keeps every block"), "{}", short.stdout);
    assert!(short.stdout.contains("the last 100 of 300 tokens"), "{}", short.stdout);
}

#[test]
fn a_short_context_is_told_from_one_that_is_kept() {
    let machine = Machine::new("inspect-short");
    let run = |more: &[&str]| machine.run(&[&["inspect", "--no-compile"][..], more].concat()).stdout;
    for (arch, below) in [("sm_80", dense_below::SM_80), ("sm_90a", dense_below::SM_90A)] {
        let told = run(&["--arch", arch, "--tokens", &(below - 1).to_string()]);
        let why = format!("dense attention alone: the context is shorter than {below} tokens");
        assert!(told.contains(&why) && !told.contains("pool_queries"), "{told}");
        let told = run(&["--arch", arch, "--tokens", &below.to_string()]);
        assert!(told.contains("8 groups of heads") && told.contains("pool_queries"), "{told}");
    }
    let told = run(&["--tokens", "1024", "--dense-below", "0"]);
    assert!(told.contains("8 groups of heads"), "{told}");
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let machine = Machine::new("inspect-shapes");
    snapshot("inspect_heads", &machine.run(&["inspect", "groups = 4", "--heads", "30", "--kv-heads", "6"]));
}

#[test]
fn a_compiler_that_tells_no_figures_is_no_obstacle() {
    let run = Machine::new("inspect-stub").nvrtc().run(&["inspect", "budget = all"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let head = run.stdout.lines().find(|line| line.contains("registers")).unwrap();
    assert!(head.ends_with("registers  spills"), "{head}");
}
