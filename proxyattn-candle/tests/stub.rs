//! The op on candle's CUDA tensors where there is no GPU: under a driver that does nothing but tell of it.
//! `cargo xtask candle-cuda` makes that driver and what else candle is linked with, and runs this; elsewhere it says that it
//! does not run.
//!
//! Every case is a child of its own, this test again, since what the driver does is told by variables.

#[path = "stub/child.rs"]
mod child;

use child::Then;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Capabilities of stub GPUs: each runs a family of kernels, and allocates in its own way.
const GPUS: [&str; 2] = ["8.0", "9.0"];

/// What gives something back. Where it fails there is nobody to tell but the next call.
const RELEASING: [&str; 4] = ["cuMemFree_v2", "cuMemFreeAsync", "cuEventDestroy_v2", "cuStreamSynchronize"];

/// What is this crate's, and not candle's.
const OURS: [&str; 5] = ["load", "load dense", "op", "dense", "traced"];

fn stubbed() -> bool {
    let stubbed = std::env::var_os("PROXYATTN_TEST_STUBS").is_some();
    if !stubbed {
        eprintln!("skipped: cargo xtask candle-cuda runs this under a stub driver");
    }
    stubbed
}

/// What a child says that does `what`, and whether it got over it.
fn told(what: &str, variables: &[(&str, &str)]) -> (String, bool) {
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["child_process", "--exact", "--nocapture"])
        .env("PROXYATTN_TEST_CANDLE", what)
        .env("RUST_BACKTRACE", "0") // candle would look for one at each error
        .env("PROXYATTN_CACHE_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .envs(variables.iter().copied())
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    (text + &String::from_utf8_lossy(&child.stderr), child.status.success())
}

/// The child's part; nothing unless a parent asks for it.
#[test]
fn child_process() {
    match std::env::var("PROXYATTN_TEST_CANDLE").as_deref() {
        Ok("once") => child::run(1, Then::Stop),
        Ok("often") => child::run(5, Then::Stop),
        Ok("retry") => child::run(1, Then::Retry),
        _ => {}
    }
}

/// The lines of one step that begin with a word, without it.
fn lines<'a>(text: &'a str, step: &str, word: &str) -> Vec<&'a str> {
    let within = text.lines().skip_while(|line| *line != format!("step {step}")).skip(1);
    let within = within.take_while(|line| !line.starts_with("step "));
    within.filter_map(|line| line.strip_prefix(word)).collect()
}

/// What the driver counted.
fn count(text: &str, what: &str) -> usize {
    let counts = text.lines().filter_map(|line| line.strip_prefix(what)?.parse().ok());
    counts.max().expect("a count")
}

/// The words of every parameter struct of a step.
fn params(text: &str, step: &str) -> Vec<u64> {
    let words = lines(text, step, "param ").into_iter();
    words.map(|word| u64::from_str_radix(word, 16).expect("a number")).collect()
}

#[test]
fn the_op_launches_what_the_raw_api_launches() {
    if !stubbed() {
        return;
    }
    let budget = ["budget_norms", "budget_partials", "budget_masses", "budget_counts"];
    let pipeline = [&["pool_queries", "pool_keys", "score"], &budget[..], &["select", "attend"]].concat();
    let pipeline: Vec<_> = pipeline.iter().map(|name| format!("proxyattn_{name}")).collect();
    // Launched together, what of the budget needs no scores runs beside what comes before it, and begins first.
    let together = [3, 4, 5, 0, 1, 2, 6, 7, 8].map(|i| pipeline[i].clone());
    for gpu in GPUS {
        let (text, good) = told("once", &[("STUB_CAPABILITY", gpu), ("STUB_PARAMS", "128")]);
        assert!(good && text.contains("\ndone\n"), "{gpu}: {text}");
        for (op, raw, kernels) in
            [("op", "raw", &together[..]), ("dense", "raw dense", &["proxyattn_dense".to_owned()])]
        {
            assert_eq!(lines(&text, op, "launch "), kernels, "{gpu} {op}");
            assert_eq!(lines(&text, raw, "launch "), kernels, "{gpu} {raw}");
            // Of the same memory: all that differs are the addresses of the output and of the workspace.
            let (ours, theirs) = (params(&text, op), params(&text, raw));
            assert_eq!((ours.len(), theirs.len()), (128 * kernels.len(), 128 * kernels.len()));
            let moved: BTreeSet<_> = ours.iter().zip(&theirs).map(|(a, b)| b.wrapping_sub(*a)).collect();
            assert!(moved.contains(&0) && moved.len() <= 3, "{gpu} {op}: {moved:x?}");
            for tensor in lines(&text, "addresses", "tensor ") {
                let address = u64::from_str_radix(tensor, 16).expect("a number");
                assert!(ours.contains(&address), "{gpu} {op}: a tensor at {tensor} is read where it is");
            }
        }
        assert_eq!(lines(&text, "traced", "launch "), pipeline, "{gpu}");
        assert_eq!(lines(&text, "traced", "heard "), ["0"], "{gpu}: kernels of the stub write nothing");
    }
}

/// The raw API keeps one workspace for all calls. On a stream that is another one in each thread, each waits for the last.
#[test]
fn threads_take_turns_with_the_workspace() {
    if !stubbed() {
        return;
    }
    for gpu in GPUS {
        let (text, good) = told("once", &[("STUB_CAPABILITY", gpu), ("STUB_EVENTS", "1")]);
        assert!(good && text.contains("\ndone\n"), "{gpu}: {text}");
        let recorded = *lines(&text, "raw", "record ").last().expect("an event behind the kernels");
        let step = text.split("step raw elsewhere\n").nth(1).expect("the step");
        let (waited, launched) = (step.find(&format!("\nwait {recorded}\n")), step.find("\nlaunch "));
        assert!(waited.expect("a wait") < launched.expect("a launch"), "{gpu}: {text}");
        let (_, kernels) = text.split_once("step raw\n").expect("the step");
        let (attend, event) =
            (kernels.find("\nlaunch proxyattn_attend\n"), kernels.find(&format!("\nrecord {recorded}\n")));
        assert!(attend.expect("a launch") < event.expect("the event"), "{gpu}: {text}");
    }
}

#[test]
fn a_call_leaves_no_memory_behind() {
    if !stubbed() {
        return;
    }
    for gpu in GPUS {
        let live = |what| {
            let (text, good) = told(what, &[("STUB_CAPABILITY", gpu)]);
            assert!(good, "{text}");
            count(&text, "live ")
        };
        assert_eq!(live("often"), live("once"), "{gpu}");
    }
}

/// Each call of the driver's that is made for the op fails once, one in each run: the op says so, launches nothing more,
/// and succeeds when it is called again.
#[test]
fn every_single_call_may_fail() {
    if !stubbed() {
        return;
    }
    std::thread::scope(|scope| {
        for gpu in GPUS {
            scope.spawn(move || {
                let (text, good) = told("retry", &[("STUB_CAPABILITY", gpu), ("STUB_CALLS", "1")]);
                assert!(good && text.contains("\ndone\n") && !text.contains("told: "), "{text}");
                let mut seen = BTreeSet::new();
                for call in OURS.iter().flat_map(|step| lines(&text, step, "call ")) {
                    let (text, good) = told("retry", &[("STUB_CAPABILITY", gpu), ("STUB_FAIL_AT", call)]);
                    let (step, name) =
                        failure(&text).unwrap_or_else(|| panic!("call {call} is made: {text}"));
                    assert!(
                        good && text.contains("\ndone\n"),
                        "{gpu}, call {call}, {name} in {step}: {text}"
                    );
                    check(&text, step, name)
                        .unwrap_or_else(|why| panic!("{gpu}, call {call}: {why}\n{text}"));
                    seen.insert(name.to_owned());
                }
                for name in ["cuLaunchKernel", "cuModuleLoadData", "cuEventCreate", "cuCtxSetCurrent"] {
                    assert!(seen.contains(name), "{gpu}: only {seen:?} failed");
                }
            });
        }
    });
}

/// The step and the name of the call that failed.
fn failure(text: &str) -> Option<(&str, &str)> {
    let mut step = "";
    text.lines().find_map(|line| {
        step = line.strip_prefix("step ").unwrap_or(step);
        Some((step, line.strip_prefix("fails ")?))
    })
}

/// Whether a step in which a call failed told of it in time.
fn check(text: &str, step: &str, call: &str) -> Result<(), String> {
    let within =
        |line: &&str| line.starts_with("fails ") || line.starts_with("told: ") || line.starts_with("launch ");
    let lines: Vec<_> = text.lines().skip_while(|line| *line != format!("step {step}")).skip(1).collect();
    let lines = lines.into_iter().take_while(|line| !line.starts_with("step ")).filter(within);
    let (before, after): (Vec<_>, Vec<_>) = {
        let lines: Vec<_> = lines.collect();
        let at = lines.iter().position(|line| line.starts_with("fails ")).ok_or("nothing failed")?;
        (lines[..at].to_vec(), lines[at + 1..].to_vec())
    };
    // A cubin that is refused once is made anew. What is given back when the last kernel is in the stream, or the context
    // that this is done in, is the next call's to tell.
    let anew = step.starts_with("load") && (call == "cuModuleLoadData" || call.starts_with("cuCtx"));
    let launched = before.last().is_some_and(|line| line.ends_with("attend") || line.ends_with("dense"));
    let late = RELEASING.contains(&call) || launched && call.starts_with("cuCtx");
    // What serves nothing but to let kernels run side by side, which they need not; what is made for it is made on a thread
    // that captures do not bind.
    let optional = call.starts_with("cuStreamGetCaptureInfo") || call.starts_with("cuThreadExchange");
    match after.first() {
        Some(line) if line.starts_with("told: ") => Ok(()),
        _ if optional || call.ends_with(" (relaxed)") => Ok(()),
        None if anew || late => Ok(()),
        Some(line) => Err(format!("{line} after {call} failed in {step}")),
        None => Err(format!("nobody was told of {call} in {step}")),
    }
}
