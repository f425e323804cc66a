//! Every call of the driver fails once.

use crate::{GPUS, RELEASING, told, whole};

/// Each call of the whole way fails once, one in each run: the step that it belongs to says so, and succeeds when it is
/// done again. Nothing is launched in between.
#[test]
fn every_single_call_may_fail() {
    std::thread::scope(|scope| {
        for gpu in GPUS {
            scope.spawn(move || {
                let text = told("retry", whole(), &[("STUB_CAPABILITY", gpu)]);
                assert!(text.contains("\ndone\n") && !text.contains("told: "), "{text}");
                // The library is opened, looked at and closed before it is opened for good.
                let counts = text.lines().filter_map(|line| line.strip_prefix("calls ")?.parse().ok());
                let calls: usize = counts.max().expect("a count");
                assert!(calls > 100, "{calls}");
                for call in 1..=calls {
                    let number = call.to_string();
                    let text = told("retry", whole(), &[("STUB_CAPABILITY", gpu), ("STUB_FAIL_AT", &number)]);
                    check_one_failure(&text)
                        .unwrap_or_else(|why| panic!("{gpu}, call {call}: {why}\n{text}"));
                }
            });
        }
    });
}

/// Whether a call serves nothing but to let kernels run side by side, which they need not. What is made for it is made on a
/// thread that captures do not bind.
fn optional(call: &str) -> bool {
    let asks = ["cuStreamGetCaptureInfo_v2", "cuThreadExchangeStreamCaptureMode"];
    asks.contains(&call) || call.ends_with(" (relaxed)")
}

/// Whether a run in which one call failed told of it in time.
fn check_one_failure(text: &str) -> Result<(), String> {
    let (mut step, mut failed, mut reports) = ("", None, Vec::new());
    for (i, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("step ") {
            step = name;
        } else if let Some(call) = line.strip_prefix("fails ") {
            failed = Some((i, step, call));
        } else if let Some(error) = line.strip_prefix("told: ") {
            reports.push((i, step, error));
        }
    }
    let (at, step, call) = failed.ok_or("nothing failed")?;
    // A cubin that is refused once is made anew, and what fails while things are given back has nobody to tell.
    let anew = matches!(step, "load" | "layer") && (call == "cuModuleLoadData" || call.starts_with("cuCtx"));
    let silent = anew || optional(call) || RELEASING.contains(&call) || step == "release";
    match reports[..] {
        [] if silent => Ok(()),
        [] => Err(format!("nobody was told of {call} in {step}")),
        [(i, told, error)] => {
            // The events of an upload are looked at by whatever uses it next.
            let next = text.lines().skip(at).find_map(|line| line.strip_prefix("step "));
            let late = matches!(step, "upload" | "lists" | "layer" | "copy") && Some(told) == next;
            let launched = text.lines().take(i).skip(at).any(|line| line.starts_with("launch "));
            let good = i > at && error.starts_with("cuda: ");
            if good && (silent || (!launched && (told == step || late))) {
                Ok(())
            } else {
                Err(format!("{call} failed in {step}, and {told} told {error}"))
            }
        }
        _ => Err(format!("told more than once: {reports:?}")),
    }
}
