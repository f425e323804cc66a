//! `tune`, on a GPU that needs a millisecond for every launch but those that the test says are fast.

use crate::machine::{Machine, Run, snapshot};
use proxyattn_runtime::tune::Found;
use serde_json::Value;
use std::fs;

/// A sparse and a dense problem, as small as they come.
const SHAPE: [&str; 8] = ["--tokens", "704,176", "--heads", "4", "--kv-heads", "2", "--dense-below", "0"];

fn tune(machine: &Machine, attribute: &str, more: &[&str]) -> Run {
    let run = machine.run(&[&["tune", attribute][..], &SHAPE, more].concat());
    // The time that it took differs.
    Run { stdout: run.stdout.lines().map(|line| untimed(line) + "\n").collect(), ..run }
}

fn untimed(line: &str) -> String {
    match line.split_once(" in ") {
        Some((made, _)) if line.starts_with("made ") => format!("{made} in [seconds] s"),
        _ => line.to_owned(),
    }
}

/// Where a machine of that name keeps the one file of records that it has.
fn records(machine: &Machine) -> std::path::PathBuf {
    let files = fs::read_dir(machine.path("home/.cache/proxyattn/tune")).unwrap().flatten();
    let mut lines =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "jsonl"));
    let file = lines.next().unwrap();
    assert_eq!(lines.next(), None);
    file
}

#[test]
fn what_is_missing_is_said() {
    snapshot("tune_no_gpu", &tune(&Machine::new("tune-no-gpu"), "head_dim = 64", &[]));
    snapshot("tune_compilerless", &tune(&Machine::new("tune-compilerless").gpu("9.0"), "head_dim = 64", &[]));
    let mut denied = Machine::new("tune-denied").gpu("9.0").nvrtc();
    denied.set("PROXYATTN_JIT", "deny");
    let run = tune(&denied, "head_dim = 64", &[]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    assert!(run.stderr.contains("run once with PROXYATTN_JIT=allow"), "{}", run.stderr);
}

#[test]
fn winners_are_told_and_found_by_what_comes_after() {
    // Warps of 16 rows are 256 threads.
    let mut machine = Machine::new("tune-fast").gpu("8.0").nvrtc();
    machine.set("STUB_FAST", "256");
    let attribute = "head_dim = 64";
    let bench = ["bench", attribute, "--tokens", "704", "--heads", "4", "--kv-heads", "2", "--json"];
    let tiles = |machine: &Machine| -> Value {
        let run = machine.run(&bench);
        assert_eq!(run.code, 0, "{}", run.stderr);
        serde_json::from_str::<Value>(&run.stdout).unwrap()["tiles"].clone()
    };
    assert_eq!(tiles(&machine), Value::Array(Vec::new()));
    let text = machine.run(&bench[..bench.len() - 1]).stdout;
    assert!(text.contains("\ntiles: the default tiles; `proxyattn tune` measures others\n"), "{text}");
    snapshot("tune_none_to_check", &tune(&machine, attribute, &["--check"]));

    snapshot("tune", &tune(&machine, attribute, &[]));
    let told = tiles(&machine);
    assert_eq!(told[1]["unit"], "attend", "{told}");
    assert!(told[1]["constants"].as_array().is_some_and(|constants| !constants.is_empty()), "{told}");
    let text = machine.run(&bench[..bench.len() - 1]).stdout;
    assert!(text.contains("\ntiles of attend: WARP_ROWS=16 "), "{text}");
    assert!(text.contains(" (record of 512 tokens at 100%)\n"), "{text}");
    snapshot("tune_check", &tune(&machine, attribute, &["--check"]));

    // Off is off, and another driver is another machine.
    machine.set("PROXYATTN_TUNE", "off");
    assert_eq!(tiles(&machine), Value::Array(Vec::new()));
    machine.set("PROXYATTN_TUNE", "cached");
    machine.set("STUB_VERSION", "12080");
    assert_eq!(tiles(&machine), Value::Array(Vec::new()));
    assert_eq!(tune(&machine, attribute, &["--check"]).code, 1);
}

#[test]
fn a_winner_that_is_slower_after_all_is_an_exit_code() {
    let mut machine = Machine::new("tune-slower").gpu("8.0").nvrtc();
    machine.set("STUB_FAST", "256");
    assert_eq!(tune(&machine, "head_dim = 64", &[]).code, 0);
    // Now the default tiles are the fast ones.
    machine.set("STUB_FAST", "128");
    let file = machine.path("records.jsonl").display().to_string();
    snapshot("tune_slower", &tune(&machine, "head_dim = 64", &["--check", "--export", &file]));
    assert!(!machine.path("records.jsonl").exists(), "what is slower is not exported");
    let run = tune(&machine, "head_dim = 64", &["--check", "--json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &report["slower"], &report["remeasured"][0]["ratio"]), (4, &2.into(), &2.0.into()));
}

#[test]
fn the_json_has_every_measurement() {
    let machine = Machine::new("tune-json").gpu("9.0").nvrtc();
    let run = tune(&machine, "head_dim = 64, dtype = f16", &["--json"]);
    assert_eq!((run.code, run.stderr.as_str(), run.stdout.lines().count()), (0, "", 1));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["configuration"], "head_dim = 64, dtype = f16");
    assert_eq!(report["machine"]["gpu"], "Stub");
    let tuned = report["tuned"].as_array().unwrap();
    assert_eq!(tuned.iter().map(|record| &record["unit"]).collect::<Vec<_>>(), ["score", "attend", "dense"]);
    for record in tuned {
        let measured = record["measurements"].as_array().unwrap();
        assert!(measured.len() > 1 && record["default_ms"].as_f64() == Some(1.0), "{record}");
    }
    assert_eq!(report["stored_in"], records(&machine).display().to_string());
}

/// What is exported is what a shipped file holds: lines that the store reads.
#[test]
fn records_are_exported() {
    let machine = Machine::new("tune-export").gpu("9.0").nvrtc();
    let file = machine.path("h100.jsonl");
    let none = tune(&machine, "head_dim = 64", &["--limit", "0", "--export", "h100.jsonl"]);
    assert_eq!(none.code, 1, "there was no time for anything: {}", none.stdout);
    assert!(!file.exists());
    let run = tune(&machine, "head_dim = 64", &["--export", "h100.jsonl"]);
    assert!(run.stdout.ends_with("exported 3 records to h100.jsonl\n"), "{}{}", run.stdout, run.stderr);
    let text = fs::read_to_string(&file).unwrap();
    let mut found = Found::default();
    found.read("export", &text);
    assert_eq!((found.records.len(), &found.refused[..]), (3, &[][..]));
    assert!(found.records.iter().all(|record| record.attribute == "head_dim = 64"));
    assert_eq!(text, fs::read_to_string(records(&machine)).unwrap(), "the store's own lines");
    // Without measuring anew.
    fs::remove_file(&file).unwrap();
    assert_eq!(tune(&machine, "head_dim = 64", &["--check", "--export", "h100.jsonl"]).code, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn records_that_were_changed_are_refused_and_measured_again() {
    let machine = Machine::new("tune-edited").gpu("9.0").nvrtc();
    assert_eq!(tune(&machine, "head_dim = 64", &[]).code, 0);
    let file = records(&machine);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"default_ms\":1.0", "\"default_ms\":9.0", 1)).unwrap();
    let run = tune(&machine, "head_dim = 64", &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let refused = format!("rejected record: `{}` line 1: its checksum is ", file.display());
    assert!(run.stdout.contains(&refused), "{}", run.stdout);
    assert!(!tune(&machine, "head_dim = 64", &[]).stdout.contains("rejected record"), "the file is mended");
}

/// Several processes write into one file; none loses what another measured.
#[test]
fn several_processes_may_tune_at_once() {
    let machine = Machine::new("tune-several").gpu("9.0").nvrtc();
    let start = |tokens: &str| {
        let arguments = ["tune", "head_dim = 64", "--heads", "4", "--kv-heads", "2", "--tokens", tokens];
        let arguments = [&arguments[..], &["--dense-below", "0"]].concat();
        machine.command(&arguments).stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    // Sparse problems, of which each has two units.
    let children = ["704", "1024", "2048", "4096"].map(start);
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let mut found = Found::default();
    found.read("records", &fs::read_to_string(records(&machine)).unwrap());
    assert_eq!((found.records.len(), &found.refused[..]), (8, &[][..]));
}

#[test]
fn time_that_is_over_is_told() {
    let machine = Machine::new("tune-late").gpu("9.0").nvrtc();
    snapshot("tune_late", &tune(&machine, "head_dim = 64", &["--limit", "0"]));
    assert!(!machine.path("home/.cache/proxyattn/tune").exists());
}

/// What programs run is what is measured: `dense` alone below the GPU's number.
#[test]
fn short_contexts_have_the_tiles_of_dense_measured() {
    let machine = Machine::new("tune-short").gpu("9.0").nvrtc();
    let shape = ["--tokens", "1024,8192", "--heads", "4", "--kv-heads", "2", "--json"];
    let run = machine.run(&[&["tune", "head_dim = 64"][..], &shape].concat());
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let records = report["tuned"].as_array().unwrap();
    let place = |record: &Value| format!("{} {}", record["unit"], record["bucket"]["tokens"]);
    let places: Vec<_> = records.iter().map(place).collect();
    assert_eq!(places, ["\"dense\" 1024", "\"score\" 8192", "\"attend\" 8192"]);
}

#[test]
fn lengths_of_one_bucket_are_refused() {
    let machine = Machine::new("tune-buckets").gpu("9.0").nvrtc();
    snapshot("tune_buckets", &machine.run(&["tune", "--tokens", "32768,8192,30000"]));
}

/// Below the GPU's number a length is dense attention's, and shares nothing with a longer one that is not.
#[test]
fn lengths_that_run_dense_have_buckets_of_their_own() {
    let machine = Machine::new("tune-dense-buckets").gpu("9.0").nvrtc();
    let tokens = |tokens: &str| {
        machine.run(&["tune", "head_dim = 64", "--tokens", tokens, "--heads", "4", "--kv-heads", "2"])
    };
    let refused = tokens("3000,3500");
    assert!(
        refused.stderr.contains("3000 and 3500 fall into the same bucket (4096 tokens at 100%)"),
        "{}",
        refused.stderr
    );
    assert_eq!(tokens("3500,4200").code, 0);
}
