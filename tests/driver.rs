//! A CUDA driver that is missing, incomplete or failing: typed errors, never a panic, never a result that is not one.
//!
//! The driver is a stub that the system's C compiler makes. It is found through the dynamic linker's path, which a
//! process cannot change for itself, so every case runs in a child: this test again, told what to do by a variable.

#![cfg(unix)]

#[path = "driver/child.rs"]
mod child;
#[path = "driver/each.rs"]
mod each;
#[path = "driver/lanes.rs"]
mod lanes;
#[path = "driver/memory.rs"]
mod memory;
#[path = "jit/stub.rs"]
#[allow(dead_code)] // the JIT's tests need more of it
mod nvrtc;
#[path = "driver/odd.rs"]
mod odd;
#[path = "driver/room.rs"]
mod room;
#[path = "driver/short.rs"]
mod short;

use child::Then;
use proxyattn::Device;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Capabilities of stub GPUs: each runs a family of kernels, and allocates in its own way.
const GPUS: [&str; 2] = ["8.0", "9.0"];

/// What opening a device calls, each at least once.
const OPENING: &[&str] = &[
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceGetAttribute",
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuStreamCreate",
    "cuDeviceGetName",
];

/// What comes after, on one GPU or the other.
const WORKING: &[&str] = &[
    "cuModuleLoadData",
    "cuModuleGetFunction",
    "cuFuncSetAttribute",
    "cuMemAlloc_v2",
    "cuMemAllocAsync",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyDtoDAsync_v2",
    "cuMemsetD2D8Async",
    "cuMemsetD8Async",
    "cuTensorMapEncodeTiled",
    "cuLaunchKernel",
    "cuEventCreate",
    "cuEventRecord",
    "cuStreamWaitEvent",
    "cuStreamSynchronize",
];

/// Giving something back. Where this fails there is nobody to tell but the next call, if there is one.
const RELEASING: &[&str] = &[
    "cuMemFree_v2",
    "cuMemFreeAsync",
    "cuEventDestroy_v2",
    "cuModuleUnload",
    "cuStreamDestroy_v2",
    "cuDevicePrimaryCtxRelease_v2",
];

/// The kernels of all stages in their order, and in that in which they are launched together: what of the budget needs no
/// scores runs beside what comes before it, and begins first.
const KERNELS: [&str; 9] = [
    "proxyattn_pool_queries",
    "proxyattn_pool_keys",
    "proxyattn_score",
    "proxyattn_budget_norms",
    "proxyattn_budget_partials",
    "proxyattn_budget_masses",
    "proxyattn_budget_counts",
    "proxyattn_select",
    "proxyattn_attend",
];
const TOGETHER: [usize; 9] = [3, 4, 5, 0, 1, 2, 6, 7, 8];

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("driver-{name}"))
}

/// The directory of a driver that has every function but `lacks`.
fn stub(lacks: &str) -> PathBuf {
    let dir = scratch(&format!("stub-{lacks}"));
    std::fs::create_dir_all(&dir).expect("a directory for the stub");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver/stub.c");
    // Another process may be at it too: what is there is whole.
    let made = dir.join(format!("{}.so", std::process::id()));
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut command = Command::new(&compiler);
    command.args(["-shared", "-fPIC", "-w", "-o"]).arg(&made).arg(format!("-DLACKS_{lacks}")).arg(&source);
    assert!(command.status().is_ok_and(|status| status.success()), "`{compiler}` is needed for the stub");
    for name in ["libcuda.so", "libcuda.so.1"] {
        std::fs::copy(&made, dir.join(format!("new-{name}"))).expect("a copy");
        std::fs::rename(dir.join(format!("new-{name}")), dir.join(name)).expect("the driver's name");
    }
    dir
}

/// The stub that has everything, made once.
fn whole() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| stub("nothing"))
}

/// A compiler that makes an image of anything.
fn compiler() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| nvrtc::library(&scratch("nvrtc"), &[]))
}

/// What a child says that does `what` with a driver from `dir` alone.
fn told(what: &str, dir: &Path, variables: &[(&str, &str)]) -> String {
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["child_process", "--exact", "--nocapture"])
        .env("PROXYATTN_TEST_DRIVER", what)
        .env("LD_LIBRARY_PATH", dir)
        .env("PROXYATTN_NVRTC", compiler())
        .env("PROXYATTN_CACHE_DIR", scratch("cache"))
        .envs(variables.iter().copied())
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "a child that did {what} under {variables:?} panicked: {text}{errors}");
    text
}

/// The child's part; nothing unless a parent asks for it.
#[test]
fn child_process() {
    match std::env::var("PROXYATTN_TEST_DRIVER").as_deref() {
        Ok("open") => child::open(),
        Ok("run") => child::run(Then::Stop),
        Ok("tune") => child::tune(),
        Ok("tune-value") => child::tune_value(0.6),
        Ok("tune-other") => child::tune_value(0.8),
        Ok("find") => child::find(),
        Ok("room") => room::run(),
        Ok("short") => short::run(),
        Ok("lanes") => lanes::run(),
        Ok("odd") => odd::run(),
        Ok("retry") => child::run(Then::Retry),
        _ => {}
    }
}

/// The lines of one step that begin with a word, without it.
fn lines<'a>(text: &'a str, step: &str, word: &str) -> Vec<&'a str> {
    let within = text.lines().skip_while(|line| *line != format!("step {step}")).skip(1);
    let within = within.take_while(|line| !line.starts_with("step "));
    within.filter_map(|line| line.strip_prefix(word)).collect()
}

#[test]
fn a_driver_without_a_symbol_is_named() {
    let text = told("open", &stub("cuModuleLoadData"), &[("STUB_CAPABILITY", "8.0")]);
    assert!(text.contains("told: unavailable: CUDA is not available: the driver library"), "{text}");
    assert!(text.contains("lacks cuModuleLoadData; update the NVIDIA driver"), "{text}");
}

#[test]
fn tensor_maps_are_wanted_on_hopper_alone() {
    let dir = stub("cuTensorMapEncodeTiled");
    let text = told("open", &dir, &[("STUB_CAPABILITY", "9.0")]);
    assert!(text.contains("lacks cuTensorMapEncodeTiled; update the NVIDIA driver"), "{text}");
    let text = told("run", &dir, &[("STUB_CAPABILITY", "8.0")]);
    assert!(text.contains("\ndone\n"), "{text}");
}

#[test]
fn an_old_gpu_is_refused() {
    let text = told("open", whole(), &[("STUB_CAPABILITY", "7.5")]);
    assert!(text.contains("compute capability is 7.5") && text.contains("Ampere"), "{text}");
}

#[test]
fn a_missing_driver_says_where_it_was_looked_for() {
    if Device::why_not_cuda().is_none() {
        return eprintln!("not run: this machine has a driver");
    }
    let dir = scratch("nothing");
    std::fs::create_dir_all(&dir).expect("an empty directory");
    let text = told("open", &dir, &[]);
    assert!(text.contains("told: "), "{text}");
    assert!(text.contains("libcuda.so.1") || text.contains("told: cuda"), "{text}");
}

#[test]
fn each_stage_launches_its_kernels() {
    for gpu in GPUS {
        let text = told("run", whole(), &[("STUB_CAPABILITY", gpu)]);
        for step in ["prefill", "raw"] {
            let launched = lines(&text, step, "launch ");
            assert_eq!(launched, TOGETHER.map(|i| KERNELS[i]), "{gpu} {step}: {text}");
        }
        assert_eq!(lines(&text, "traced", "launch "), KERNELS, "{gpu}: {text}");
        assert_eq!(lines(&text, "attend", "launch "), KERNELS[8..], "{gpu}");
        assert_eq!(lines(&text, "dense", "launch "), ["proxyattn_dense"], "{gpu}");
        // Where tiles are handed out one by one, the count begins at zero.
        let cleared: &[&str] = if gpu == "9.0" { &["4"] } else { &[] };
        assert_eq!(lines(&text, "dense", "memset "), cleared, "{gpu}");
        // A launch for each query head of a KV head, each of which counts from zero.
        assert_eq!(lines(&text, "given", "launch "), [KERNELS[8]; 2], "{gpu}");
        assert_eq!(lines(&text, "given", "memset "), cleared.repeat(2), "{gpu}");
        assert_eq!(lines(&text, "lists", "launch "), [""; 0], "{gpu}");
        // The output of the pruned head is zeroed behind attention: each token's 64 elements of two bytes.
        let memsets = lines(&text, "pruned", "memset ");
        assert_eq!(memsets.last(), Some(&"704 x 128"), "{gpu}: {memsets:?}");
        assert_eq!(memsets.iter().filter(|memset| memset.contains('x')).count(), 1, "{gpu}: {memsets:?}");
    }
}

/// Below the device's number of tokens, or the caller's, `dense` is launched: by calls, by a plan, in a warm-up and when
/// tiles are measured. Stages that somebody asks for are not replaced.
#[test]
fn short_contexts_launch_dense() {
    let below = [proxyattn::dense_below::SM_80, proxyattn::dense_below::SM_90A];
    for (gpu, tokens) in GPUS.into_iter().zip(below) {
        let cache = scratch(&format!("short-{gpu}"));
        let variables = [("STUB_CAPABILITY", gpu), ("PROXYATTN_CACHE_DIR", path(&cache))];
        let text = told("short", whole(), &variables);
        assert!(text.contains(&format!("\nbelow {tokens}\n")) && text.contains("\ndone\n"), "{gpu}: {text}");
        for step in ["below", "moved", "traced", "raw", "warmup", "tune"] {
            let launched = lines(&text, step, "launch ");
            let dense = !launched.is_empty() && launched.iter().all(|name| *name == "proxyattn_dense");
            assert!(dense, "{gpu} {step}: {launched:?}");
        }
        for step in ["edge", "moved edge", "never", "planned", "warmup edge"] {
            let launched = lines(&text, step, "launch ");
            assert!(launched.contains(&"proxyattn_select"), "{gpu} {step}: {launched:?}");
            assert!(!launched.contains(&"proxyattn_dense"), "{gpu} {step}: {launched:?}");
        }
        assert_eq!(lines(&text, "stages", "launch "), [""; 0], "{gpu}");
        assert_eq!(lines(&text, "own", "launch "), ["proxyattn_attend"], "{gpu}");
    }
}

/// What a step puts into which stream: a kernel's name, or `record` or `wait` and an event.
fn put<'a>(text: &'a str, step: &str) -> Vec<(&'a str, &'a str)> {
    lines(text, step, "on ").iter().map(|line| line.split_once(' ').expect("a stream and more")).collect()
}

/// The lane of a call of all stages that has `own` as its stream: the budget begins where the call does and is launched
/// before all else, and what reads it is launched when it has been waited for, its counts among them, since they read scores.
fn lane<'a>(put: &[(&'a str, &'a str)], own: &str) -> &'a str {
    let lane = put[1].0;
    let (begun, ended) = (put[0].1, put[8].1);
    let waits = |record: &str| record.replace("record", "wait");
    let expected = [
        (own, begun),
        (lane, &waits(begun)),
        (lane, KERNELS[3]),
        (lane, KERNELS[4]),
        (lane, KERNELS[5]),
        (own, KERNELS[0]),
        (own, KERNELS[1]),
        (own, KERNELS[2]),
        (lane, ended),
        (own, &waits(ended)),
        (own, KERNELS[6]),
        (own, KERNELS[7]),
        (own, KERNELS[8]),
    ];
    assert_eq!(put, expected);
    assert!(lane != own && begun != ended && [begun, ended].iter().all(|event| event.starts_with("record ")));
    lane
}

/// The budget runs beside what comes before it, on a stream that no other call has at the time.
#[test]
fn the_budget_runs_beside_pool_and_score() {
    for gpu in GPUS {
        let text = told("lanes", whole(), &[("STUB_CAPABILITY", gpu), ("STUB_STREAMS", "1")]);
        assert!(text.contains("\ndone\n"), "{gpu}: {text}");
        let own = put(&text, "first")[0].0;
        let first = lane(&put(&text, "first"), own);
        assert_eq!(lane(&put(&text, "again"), own), first, "{gpu}: a lane is used again");
        let elsewhere = put(&text, "elsewhere");
        assert_ne!(lane(&elsewhere, elsewhere[0].0), first, "{gpu}: one stream does not wait for another");

        let kernels = |names: &[&'static str]| names.iter().map(|name| (own, *name)).collect::<Vec<_>>();
        let flat: Vec<_> = KERNELS.into_iter().filter(|name| !name.contains("budget")).collect();
        assert_eq!(put(&text, "flat"), kernels(&flat), "{gpu}");
        assert_eq!(put(&text, "single"), kernels(&KERNELS), "{gpu}");
        assert_eq!(put(&text, "without score"), kernels(&KERNELS[3..8]), "{gpu}");
        let joined = put(&text, "without select");
        assert_eq!(joined.iter().filter(|(stream, _)| *stream == first).count(), 5, "{gpu}: {joined:?}");
        let [.., (last, wait), counts] = &joined[..] else { panic!("{gpu}: {joined:?}") };
        assert!(*last == own && wait.starts_with("wait "), "{gpu}: {joined:?}");
        assert_eq!(*counts, (own, KERNELS[6]), "{gpu}");
        // Counts in the heads' own orders need no scores.
        let beside: Vec<_> = put(&text, "own").into_iter().filter(|(stream, _)| *stream != own).collect();
        let beside: Vec<_> = beside[1..4].iter().map(|(_, what)| *what).collect();
        assert_eq!(beside, [KERNELS[4], KERNELS[5], KERNELS[6]], "{gpu}");

        // The lane is in the capture to its end: calls of the capture share it, and others take none of it, however many
        // they are.
        assert_eq!(lane(&put(&text, "captured"), own), first, "{gpu}");
        assert_eq!(lane(&put(&text, "captured again"), own), first, "{gpu}");
        let others = put(&text, "others");
        let others: BTreeSet<_> = others.chunks(13).map(|call| lane(call, call[0].0)).collect();
        assert!(!others.contains(first) && others.len() == 15, "{gpu}: {others:?}");
        assert_eq!(lane(&put(&text, "later"), own), first, "{gpu}");
        assert_eq!(text.lines().rfind(|line| line.starts_with("handles ")), Some("handles 0"), "{gpu}");
    }
}

/// However many threads launch at once, a lane has the whole of one call before the next.
#[test]
fn threads_have_lanes_to_themselves() {
    for gpu in GPUS {
        let text = told("lanes", whole(), &[("STUB_CAPABILITY", gpu), ("STUB_STREAMS", "1")]);
        let mut streams = BTreeMap::<_, Vec<_>>::new();
        for (stream, what) in put(&text, "threads") {
            streams.entry(stream).or_default().push(what);
        }
        let is_lane = |put: &Vec<&str>| put.contains(&KERNELS[3]);
        let (lanes, own): (Vec<_>, Vec<_>) = streams.into_values().partition(is_lane);
        assert!(own.len() == 4 && own.iter().all(|put| put.len() == 10 * 8), "{gpu}: {own:?}");
        assert_eq!(lanes.iter().map(Vec::len).sum::<usize>(), 4 * 10 * 5, "{gpu}: {lanes:?}");
        for call in lanes.iter().flat_map(|put| put.chunks(5)) {
            let [wait, budget @ .., record] = call else { panic!("{gpu}: {call:?}") };
            assert_eq!(budget, &KERNELS[3..6], "{gpu}");
            assert!(wait.starts_with("wait ") && record.starts_with("record "), "{gpu}: {call:?}");
        }
    }
}

/// Without a lane, kernels run one after the other on the caller's stream.
#[test]
fn a_lane_can_be_done_without() {
    let old = stub("cuStreamGetCaptureInfo_v2");
    for gpu in GPUS {
        let fails = |name| told("lanes", whole(), &[("STUB_CAPABILITY", gpu), ("STUB_STREAMS", "1"), name]);
        let lacks = told("lanes", &old, &[("STUB_CAPABILITY", gpu), ("STUB_STREAMS", "1")]);
        let refused = ["cuStreamGetCaptureInfo_v2", "cuThreadExchangeStreamCaptureMode"];
        for text in refused.map(|name| fails(("STUB_FAIL", name))).iter().chain([&lacks]) {
            assert!(text.contains("\ndone\n"), "{gpu}: {text}");
            let own = put(text, "first")[0].0;
            assert_eq!(put(text, "first"), KERNELS.map(|name| (own, name)), "{gpu}");
        }
    }
}

#[test]
fn a_call_that_always_fails_is_an_error() {
    for name in OPENING {
        let text = told("open", whole(), &[("STUB_CAPABILITY", "8.0"), ("STUB_FAIL", name)]);
        assert!(text.contains("told: cuda: ") && text.contains("(999)"), "{name}: {text}");
    }
    let mut failed = Vec::new();
    for (gpu, name) in GPUS.iter().flat_map(|gpu| WORKING.iter().map(move |name| (gpu, name))) {
        let text = told("run", whole(), &[("STUB_CAPABILITY", gpu), ("STUB_FAIL", name)]);
        if text.contains("fails ") {
            assert!(text.contains("told: cuda: ") && !text.contains("\ndone\n"), "{gpu} {name}: {text}");
            failed.push(name);
        }
    }
    assert!(WORKING.iter().all(|name| failed.contains(&name)), "only {failed:?} were called");
    for name in RELEASING {
        for gpu in GPUS {
            let text = told("run", whole(), &[("STUB_CAPABILITY", gpu), ("STUB_FAIL", name)]);
            assert!(!text.contains("told: other"), "{gpu} {name}: {text}");
        }
    }
}

/// The tuner on a GPU that needs a millisecond for everything: every candidate is compiled, checked and measured, the
/// default tiles win, and the records are found when the kernel is loaded again.
#[test]
fn candidates_are_measured_and_remembered() {
    for gpu in GPUS {
        let cache = scratch(&format!("tune-{gpu}"));
        let _ = std::fs::remove_dir_all(&cache);
        let variables = [("STUB_CAPABILITY", gpu), ("PROXYATTN_CACHE_DIR", path(&cache))];
        let first = told("tune", whole(), &variables);
        assert!(first.contains("\nfound 0\n") && first.contains("\ndone\n"), "{first}");
        let records = if gpu == "9.0" { "score, attend, dense" } else { "scoring, attend, dense" };
        assert!(first.contains(&format!("\nmeasured {records}\n")), "{first}");
        assert_eq!(first.matches(" 1.0 0\n").count(), 3, "the default tiles won: {first}");
        let second = told("tune", whole(), &variables);
        assert!(second.contains("\nfound 3\n") && second.contains("\ndone\n"), "{second}");
        assert!(!second.contains("refused ") && second.contains("\nnow 3\n"), "{second}");

        // A record of another driver is none of this one's.
        let other = told("tune", whole(), &[&variables[..], &[("STUB_VERSION", "12080")]].concat());
        assert!(other.contains("\nfound 0\n") && !other.contains("refused "), "{other}");

        // An edited one is refused by name, and measured again.
        let [file] = &jsonl(&cache.join("tune"))[..] else { panic!("one file of one configuration") };
        let text = std::fs::read_to_string(file).expect("the records");
        std::fs::write(file, text.replacen("\"default_ms\":1.0", "\"default_ms\":9.0", 1)).expect("an edit");
        let edited = told("tune", whole(), &variables);
        assert!(edited.contains("\nfound 2\n") && edited.contains("\nnow 3\n"), "{edited}");
        assert!(edited.contains(&format!("\nrefused `{}` line 1: ", path(file))), "{edited}");
        let mended = told("tune", whole(), &variables);
        assert!(mended.contains("\nfound 3\n") && !mended.contains("refused "), "{mended}");
    }
}

/// Warps of 16 rows are twice as many threads. Where that is faster, it wins, and is launched: at once, and when the
/// kernel is loaded again.
#[test]
fn what_won_is_what_is_launched() {
    let cache = scratch("tune-fast");
    let _ = std::fs::remove_dir_all(&cache);
    let variables = [("STUB_CAPABILITY", "8.0"), ("STUB_FAST", "256"), ("PROXYATTN_CACHE_DIR", path(&cache))];
    for found in [0, 3] {
        let text = told("tune", whole(), &variables);
        assert!(text.contains(&format!("\nfound {found}\n")), "{text}");
        assert!(found == 3 || text.contains("\nwinner attend 0.5 "), "{text}");
        assert_eq!(lines(&text, "tuned", "threads ").last(), Some(&"256"), "{text}");
        assert_eq!(lines(&text, "default", "threads ").last(), Some(&"128"), "{text}");
    }
}

/// What was tuned for a configuration as a value counts for the attribute that gives it, and for nothing else.
#[test]
fn records_of_a_value_are_those_of_the_attribute() {
    for gpu in GPUS {
        let cache = scratch(&format!("tune-value-{gpu}"));
        let _ = std::fs::remove_dir_all(&cache);
        // On the portable GPU another choice is faster, and is measured again; on the other one the default tiles win.
        let variables =
            [("STUB_CAPABILITY", gpu), ("STUB_FAST", "256"), ("PROXYATTN_CACHE_DIR", path(&cache))];
        let other = told("tune-other", whole(), &variables);
        assert!(other.contains("\nfound 0\n") && other.contains("\ndone\n"), "{other}");
        let before = told("find", whole(), &variables);
        assert!(
            before.contains("\nfound 0\n"),
            "records of another share of the mass are not used: {before}"
        );
        let value = told("tune-value", whole(), &variables);
        assert!(value.contains("\nfound 0\n") && value.contains("\ndone\n"), "{value}");
        assert_eq!(value.contains("\nagain attend 1.0 0.5\n"), gpu == "8.0", "{value}");
        let after = told("find", whole(), &variables);
        assert!(after.contains("\nfound 3\n"), "{after}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of this repository")
}

fn jsonl(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).expect("the records' directory").flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect()
}
