//! `bench`: figures, as a table and as JSON.

use crate::machine::{Machine, Run, snapshot};
use proxyattn_runtime::dense_below;
use serde_json::Value;

const SMALL: [&str; 8] = ["--tokens", "1536", "--heads", "4", "--kv-heads", "2", "--runs", "1"];

/// Digits with a point are measured.
fn unmeasured(run: Run) -> Run {
    let text = match run.stdout.split_once(" as fast as dense (") {
        Some((before, after)) => {
            let (times, after) = after.split_once(" ms)").unwrap();
            let (dense, sparse) = times.split_once(" → ").unwrap();
            assert!(dense.parse::<f64>().is_ok() && sparse.parse::<f64>().is_ok(), "{times}");
            format!("{before} as fast as dense (# → # ms){after}")
        }
        None => run.stdout.clone(),
    };
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let number = word.trim_end().trim_end_matches(['×', '%']);
        let measured = number.contains('.') && number.trim_end_matches(',').parse::<f64>().is_ok();
        if measured { word.replace(number.trim_end_matches(','), "#") } else { word.to_owned() }
    });
    let lines: String = words.collect();
    let lines = lines.lines().map(|line| {
        let indent = if line.starts_with("  ") { "  " } else { "" };
        format!("{indent}{}\n", line.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    Run { stdout: lines.collect(), ..run }
}

#[test]
fn the_table_has_every_stage() {
    let machine = Machine::new("bench");
    let run = |attribute: &str| machine.run(&[&["bench", attribute, "--device", "cpu"][..], &SMALL].concat());
    snapshot("bench_sparse", &unmeasured(run("head_dim = 64, budget = ratio(0.2)")));
    snapshot("bench_dense", &unmeasured(run("head_dim = 64, budget = all")));
}

/// A budget that asks for a layer has one of equal weights: the share of every head is the budget's.
#[test]
fn heads_have_equal_weights() {
    let machine = Machine::new("bench-weights");
    let density = |budget: &str| {
        let attribute = format!("head_dim = 64, budget = {budget}");
        let run = machine.run(&[&["bench", &attribute, "--device", "cpu", "--json"][..], &SMALL].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        serde_json::from_str::<Value>(&run.stdout).unwrap()["density"].as_f64().unwrap()
    };
    assert_eq!(density("per_head(0.3, min_tokens = 64)"), density("ratio(0.3)"));
}

#[test]
fn the_json_has_every_figure() {
    let machine = Machine::new("bench-json");
    let arguments = ["bench", "head_dim = 64, dtype = f16", "--json"];
    let run = machine.run(&[&arguments[..], &SMALL].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(run.stdout.lines().count(), 1);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let numbers = ["density", "ms", "dense_ms", "speedup", "attend_tflops", "dense_tflops"];
    for key in numbers {
        assert!(report[key].as_f64().is_some_and(|number| number > 0.0), "{key}: {report}");
    }
    for stage in ["pool", "score", "budget", "select", "attend"] {
        assert!(report["stages_ms"][stage].as_f64().is_some_and(|ms| ms > 0.0), "{stage}: {report}");
    }
    assert_eq!(
        (&report["configuration"], &report["dtype"]),
        (&"head_dim = 64, dtype = f16".into(), &"f16".into())
    );
    assert_eq!((&report["tokens"], &report["kv_heads"]), (&1536.into(), &2.into()));
    // The inputs have something to drop.
    assert!(report["density"].as_f64().unwrap() < 0.9, "{report}");
}

/// Stages are measured on both sides of the edge, and the side is told.
#[test]
fn what_prefill_would_spare_is_told() {
    let machine = Machine::new("bench-short");
    let attribute = "head_dim = 64, budget = ratio(0.2)";
    let run = |tokens: usize, more: &[&str]| {
        let tokens = tokens.to_string();
        let shape = ["--tokens", &tokens, "--heads", "2", "--kv-heads", "1", "--runs", "1"];
        machine.run(&[&["bench", attribute, "--device", "cpu"], &shape[..], more].concat()).stdout
    };
    let why =
        format!("`prefill` runs dense here, because the context is shorter than {} tokens", dense_below::CPU);
    for (tokens, dense) in [(dense_below::CPU - 1, true), (dense_below::CPU, false)] {
        let told = run(tokens, &[]);
        assert_eq!(told.contains(&why), dense, "{told}");
        let report: Value = serde_json::from_str(&run(tokens, &["--json"])).unwrap();
        assert_eq!((&report["prefill_dense"], &report["dense_plan"]), (&dense.into(), &false.into()));
        assert_eq!(report["dense_below"], dense_below::CPU, "{report}");
        assert!(report["density"].as_f64().unwrap() < 0.8, "the stages ran: {report}");
        assert!(report["stages_ms"]["select"].as_f64().unwrap() > 0.0, "{report}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_missed() {
    snapshot("bench_no_gpu", &Machine::new("bench-no-gpu").run(&["bench", "--device", "cuda"]));
}

/// Inputs that no address space holds are an error, and no abort.
#[test]
fn memory_that_nobody_has_is_told() {
    let machine = Machine::new("bench-memory");
    let huge = ["--tokens", "1073741824", "--batch", "65536", "--heads", "32", "--kv-heads", "8"];
    let run = machine.run(&[&["bench", "", "--device", "cpu"][..], &huge].concat());
    let expected =
        "error: `inputs`: cannot allocate 576460752303423488 bytes of host memory; pass fewer tokens";
    assert!(run.code == 3 && run.stdout.is_empty() && run.stderr.starts_with(expected), "{}", run.stderr);
}

/// Cross-attention: queries of another sequence.
#[test]
fn more_queries_than_keys_are_measured_without_a_mask() {
    let machine = Machine::new("bench-cross");
    let run = |attribute: &str| {
        let shape =
            ["--tokens", "640", "--q-tokens", "1500", "--heads", "4", "--kv-heads", "2", "--runs", "1"];
        machine.run(&[&["bench", attribute, "--device", "cpu"][..], &shape].concat())
    };
    let measured = run("head_dim = 64, causal = false, budget = ratio(0.2)");
    assert_eq!((measured.code, measured.stderr.as_str()), (0, ""));
    assert!(measured.stdout.contains("1 × 1500 query tokens over 640 key tokens"), "{}", measured.stdout);
    let refused = run("head_dim = 64, budget = ratio(0.2)");
    assert!(refused.code == 2 && refused.stderr.contains("declare `causal = false`"), "{}", refused.stderr);
}
