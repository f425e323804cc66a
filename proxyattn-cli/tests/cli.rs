//! The program as it is run: what it prints, and its exit codes, on a machine that is made up.
//!
//! Drivers and compilers are stubs that the system's C compiler makes, or files that are no libraries, found before
//! whatever the machine has; so the snapshots hold on every one.

#![cfg(target_os = "linux")]

#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/cache.rs"]
mod cache;
#[path = "cli/compile.rs"]
mod compile;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/expand.rs"]
mod expand;
#[path = "cli/inspect.rs"]
mod inspect;
#[path = "cli/machine.rs"]
mod machine;
#[path = "cli/tune.rs"]
mod tune;

use machine::{Machine, snapshot};

#[test]
fn help_says_what_there_is_and_the_exit_codes() {
    let machine = Machine::new("help");
    snapshot("help", &machine.run(&["--help"]));
    snapshot("help_compile", &machine.run(&["compile", "--help"]));
    snapshot("help_tune", &machine.run(&["tune", "--help"]));
    snapshot("nothing", &machine.run(&[]));
    assert_eq!(machine.run(&["--version"]).stdout, concat!("proxyattn ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn arguments_that_make_no_sense_are_exit_code_2() {
    let machine = Machine::new("usage");
    for arguments in [
        &["doktor"][..],
        &["expand", "--arch", "sm_75"],
        &["compile", "", "--arch", "sm_90b", "--out", "x"],
        &["compile", "", "--out", "x"],
        &["cache", "gc", "--max-size", "5MB"],
        &["bench", "--runs", "0"],
        &["tune", "--tokens", "8192,x"],
        &["tune", "--tokens", "0"],
        &["tune", "--check", "--limit", "5"],
        &["inspect", "--tokens", "0"],
        &["inspect", "groups = 3", "--no-compile"],
        &["bench", "heads = 16", "--heads", "32"],
    ] {
        let run = machine.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn completions_know_every_command() {
    let machine = Machine::new("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = machine.run(&["completions", shell]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        for command in ["doctor", "expand", "inspect", "compile", "tune", "bench", "cache", "completions"] {
            assert!(run.stdout.contains(command), "{shell} lacks {command}");
        }
    }
    snapshot("completions_unknown", &machine.run(&["completions", "tcsh"]));
}

#[test]
fn colours_are_for_terminals_alone() {
    let mut machine = Machine::new("colours");
    for arguments in [&["doctor"][..], &["expand", "--unit", "dense"], &["expand", "blok = 64"]] {
        let coloured = |machine: &Machine| {
            let run = machine.run(arguments);
            (run.stdout + &run.stderr).contains('\x1b')
        };
        machine.variables.clear();
        assert!(!coloured(&machine), "a pipe is no terminal: {arguments:?}");
        machine.set("CLICOLOR_FORCE", "1");
        assert!(coloured(&machine), "forced: {arguments:?}");
        machine.set("NO_COLOR", "1");
        assert!(!coloured(&machine), "NO_COLOR wins: {arguments:?}");
    }
}

#[test]
fn a_reader_may_leave_early() {
    use std::io::Read;
    use std::process::Stdio;
    let machine = Machine::new("pipe");
    let mut child =
        machine.command(&["expand"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!((child.wait().unwrap().code(), told.as_str()), (Some(0), ""));
}
