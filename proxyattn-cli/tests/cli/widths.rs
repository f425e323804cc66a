//! Every command on narrow and wide terminals: lines fit, and no word is broken.

use crate::machine::Machine;
use std::collections::BTreeSet;

/// A terminal beside an editor, and the width that prose has at most.
const WIDTHS: [usize; 2] = [60, 100];

/// Every command's help.
const HELP: [&[&str]; 13] = [
    &["--help"],
    &["doctor", "--help"],
    &["expand", "--help"],
    &["inspect", "--help"],
    &["compile", "--help"],
    &["tune", "--help"],
    &["bench", "--help"],
    &["cache", "--help"],
    &["cache", "ls", "--help"],
    &["cache", "verify", "--help"],
    &["cache", "gc", "--help"],
    &["cache", "clear", "--help"],
    &["completions", "--help"],
];

/// What is refused or fails on a machine with nothing.
const ERRORS: [&[&str]; 17] = [
    &[],
    &["doktor"],
    &["inspect", "--tokens", "0"],
    &["inspect", "--tokens", "-1"],
    &["inspect", "--tokens", "1G"],
    &["inspect", "--q-tokens", "1M"],
    &["inspect", "--heads", "7"],
    &["inspect", "groups = 4", "--heads", "30", "--kv-heads", "6"],
    &["inspect", "block=64", "groups=4"],
    &["expand", "block = 64, groups = 4, heads = 32, kvheads = 8, dtype = bf16, causal = maybe"],
    &["expand", "--unit", "attention"],
    &["expand", "arch(sm_80)", "--arch", "sm_90a"],
    &["compile", "", "--arch", "sm_75", "--out", "kernels"],
    &["compile", "head_dim = 96", "--arch", "sm_80", "--out", "kernels"],
    &["tune", "--check"],
    &["bench", "--device", "cuda"],
    &["cache", "clear", "--dir", "typo"],
];

/// The output on a terminal of so many columns, or without one.
fn told(machine: &mut Machine, columns: Option<usize>, arguments: &[&str]) -> String {
    machine.set("COLUMNS", &columns.map_or(String::new(), |columns| columns.to_string()));
    let run = machine.run(arguments);
    run.stdout + &run.stderr
}

/// The words of an output, without the punctuation at their ends.
fn words(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().map(|word| word.trim_matches([',', ';', '.'])).collect()
}

/// Checks one command at every width. Marks and ellipses belong to a line of the configuration that is cut to what fits.
#[track_caller]
fn assert_fits(machine: &mut Machine, arguments: &[&str]) {
    let whole = told(machine, None, arguments);
    assert!(!whole.is_empty(), "{arguments:?} says nothing");
    let known = words(&whole);
    for columns in WIDTHS {
        let fitted = told(machine, Some(columns), arguments);
        for line in fitted.lines() {
            // A path may be longer than a line, and then is alone on it.
            let alone = line.trim().split(' ').count() == 1 && line.contains('/');
            let fits = line.chars().count() <= columns || alone;
            assert!(fits, "{arguments:?} at {columns}: {line}\n{fitted}");
        }
        let broken: Vec<_> =
            words(&fitted).difference(&known).copied().filter(|word| !word.starts_with(['^', '…'])).collect();
        assert!(broken.is_empty(), "{arguments:?} at {columns} breaks {broken:?}\n{fitted}");
    }
}

#[test]
fn help_fits() {
    let mut machine = Machine::new("widths-help");
    for arguments in HELP {
        assert_fits(&mut machine, arguments);
    }
}

#[test]
fn errors_fit() {
    let mut machine = Machine::new("widths-errors");
    for arguments in ERRORS {
        assert_fits(&mut machine, arguments);
    }
}

#[test]
fn doctor_fits_on_every_machine() {
    for mut machine in [
        Machine::new("widths-nothing"),
        Machine::new("widths-hopper").gpu("9.0").nvrtc(),
        Machine::new("widths-compilerless").gpu("9.0"),
        Machine::new("widths-old").gpu("7.5").nvrtc(),
    ] {
        machine.set("PROXYATTN_DEVCE", "cpu");
        assert_fits(&mut machine, &["doctor"]);
        assert_fits(&mut machine, &["doctor", "--verbose"]);
    }
    let mut machine = Machine::new("widths-no-device").gpu("9.0").nvrtc();
    machine.set("STUB_FAIL", "cuInit");
    machine.set("STUB_CODE", "100");
    assert_fits(&mut machine, &["doctor"]);
}

#[test]
fn tables_fit() {
    let mut machine = Machine::new("widths-tables").nvrtc();
    for attribute in
        ["groups = 4", "budget = all", "stride = 4, arch(sm_80)", "budget = ratio(0.1, split = heads)"]
    {
        assert_fits(&mut machine, &["inspect", attribute, "--tokens", "128K"]);
    }
    assert_fits(&mut machine, &["inspect", "--tokens", "512", "--no-compile"]);
    assert_fits(&mut machine, &["compile", "", "--arch", "sm_90a,sm_80,sm_120", "--out", "kernels"]);
    assert_fits(&mut machine, &["cache", "ls"]);
    assert_fits(&mut machine, &["cache", "ls", "--dir", "kernels"]);
    assert_fits(&mut machine, &["cache", "verify"]);
}

#[test]
fn tuning_and_benchmarks_fit() {
    let mut machine = Machine::new("widths-tune").gpu("9.0").nvrtc();
    let shape = ["--tokens", "704", "--heads", "4", "--kv-heads", "2"];
    let tune = [&["tune", "head_dim = 64"][..], &shape, &["--dense-below", "0"]].concat();
    let bench = [&["bench", "head_dim = 64", "--device", "cpu", "--runs", "1"][..], &shape].concat();
    // Times differ from run to run, so only the lines are checked.
    for (columns, arguments) in WIDTHS.into_iter().flat_map(|columns| [(columns, &tune), (columns, &bench)]) {
        let fitted = told(&mut machine, Some(columns), arguments);
        for line in fitted.lines() {
            let alone = line.trim().split(' ').count() == 1 && line.contains('/');
            assert!(line.chars().count() <= columns || alone, "{arguments:?} at {columns}: {line}\n{fitted}");
        }
    }
    assert_fits(&mut machine, &["cache", "ls"]);
    assert_fits(&mut machine, &["doctor"]);
}
