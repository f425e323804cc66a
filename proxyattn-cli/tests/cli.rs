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
#[path = "cli/widths.rs"]
mod widths;

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

/// Flags by the names that were typed, and how to write the value.
#[test]
fn a_refusal_says_how_to_write_it() {
    let machine = Machine::new("refusals");
    for (arguments, expected) in [
        (&["inspect", "--tokens", "128KB"][..], "'--tokens <N>': expected a number such as 131072 or 128K"),
        (&["inspect", "--tokens", "-1"], "'--tokens <N>': expected a number from 1 to 1073741824 (1024M)"),
        (&["tune", "--tokens", "8K,0"], "'--tokens <LIST>': expected a number from 1 to 1073741824 (1024M)"),
        (&["inspect", "--q-tokens", "16K"], "error: --tokens: expected at least --q-tokens = 16384, because"),
        (&["inspect", "--dense-below", "-1"], "expected 0 or a number such as 4096 or 4K"),
        (&["bench", "--runs", "0"], "'--runs <N>': expected a whole number from 1 on"),
        (&["bench", "--heads", "7"], "error: --kv-heads: give the number of key/value heads"),
        (
            &["bench", "--heads", "32", "--kv-heads", "5"],
            "error: --kv-heads: expected a divisor of --heads = 32",
        ),
        (&["expand", "--unit", "foo"], "'--unit <UNIT>'\n  [possible values: scoring, score, budget, attend"),
        (&["expand", "--arch", "sm_75"], "'--arch <ARCH>': expected sm_90a (Hopper), or sm_ and the compute"),
        (
            &["inspect", "block=64", "groups=4", "--tokens", "1K"],
            "error: a configuration is one argument: quote it: 'block=64, groups=4'\n",
        ),
        (
            &["bench", "--runs", "1", "block", "=", "64,", "causal"],
            "error: a configuration is one argument: quote it: 'block = 64, causal'\n",
        ),
        (&["inspect", "groups = 4", "more"], "unexpected argument 'more' found"),
        (
            &["expand", "budget = all", "--unit", "attend"],
            "error: --unit: expected one of the configuration's units",
        ),
    ] {
        let run = machine.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{arguments:?}: {}", run.stderr);
    }
}

/// One configuration, however it is written, and one length.
#[test]
fn a_pasted_attribute_and_a_short_number_are_read() {
    let machine = Machine::new("spellings");
    let run = |configuration: &str, tokens: &str| {
        machine.run(&["inspect", configuration, "--tokens", tokens, "--no-compile"])
    };
    let plain = run("groups = 4", "131072");
    assert_eq!((plain.code, plain.stderr.as_str()), (0, ""));
    let pasted = "/// 128K prefill.\n#[proxy_attention(groups = 4)]\npub struct LlamaPrefill;";
    for (configuration, tokens) in
        [("groups = 4", "128K"), (pasted, "128k"), ("#[proxy_attention(groups = 4)]", "128K")]
    {
        assert_eq!(run(configuration, tokens).stdout, plain.stdout, "{configuration} {tokens}");
    }
}

/// Every command takes the GPUs that `compile` takes.
#[test]
fn every_command_takes_every_gpu() {
    let machine = Machine::new("gpus");
    let run = |arguments: &[&str]| {
        let run = machine.run(arguments);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
        run.stdout
    };
    assert_eq!(run(&["expand", "--arch", "sm_120"]), run(&["expand", "--arch", "sm_80"]));
    let told = run(&["inspect", "--arch", "sm_120", "--no-compile"]);
    assert!(told.contains("kernels for sm_120 (the code of sm_80), on 108 multiprocessors"), "{told}");
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
