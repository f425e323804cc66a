//! What a run has to say in which one call failed.

use crate::RELEASING;

/// Whether a call serves nothing but to let kernels run side by side, which they need not. What is made for it is made on a
/// thread that captures do not bind.
fn optional(call: &str) -> bool {
    let asks = ["cuStreamGetCaptureInfo_v2", "cuThreadExchangeStreamCaptureMode"];
    asks.contains(&call) || call.ends_with(" (relaxed)")
}

/// Whether a run in which one call failed told of it in time.
pub(crate) fn check_one_failure(text: &str) -> Result<(), String> {
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
    let anew = step == "load" && (call == "cuModuleLoadData" || call.starts_with("cuCtx"));
    let silent = anew || optional(call) || RELEASING.contains(&call) || step == "release";
    match reports[..] {
        [] if silent => Ok(()),
        [] => Err(format!("nobody was told of {call} in {step}")),
        [(i, told, error)] => {
            // The events of an upload are looked at by whatever uses it next.
            let next = text.lines().skip(at).find_map(|line| line.strip_prefix("step "));
            let late = matches!(step, "upload" | "copy") && Some(told) == next;
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
