//! Contexts on both sides of the length below which dense attention is faster, under the stub driver.

use crate::child::{DIM, HEADS, KV_HEADS, Sparse, Then, problem, step};
use crate::memory::Memory;
use half::bf16;
use proxyattn::{Attention, AttentionKernel, Device, Plan, Result, Scratch, Stage, Tensor, WhyDense};
use std::time::Duration;

/// A number of the caller's.
const MOVED: usize = 1000;

pub(crate) fn run() {
    steps().expect("the stub does everything");
    println!("done");
}

fn steps() -> Result<()> {
    let device = Device::cuda(0)?;
    let attention = Sparse::load(&device)?;
    let below = attention.dense_below();
    println!("below {below}");
    let moved = attention.clone().with_dense_below(MOVED);
    let never = attention.clone().with_dense_below(0);

    let tensor = |heads, tokens| Tensor::<bf16>::zeros([1, heads, tokens, DIM])?.to(&device);
    let qkv = |tokens| Ok([tensor(HEADS, tokens)?, tensor(KV_HEADS, tokens)?, tensor(KV_HEADS, tokens)?]);
    let call = |name: &str, attention: &Attention<bf16>, tokens| {
        let [q, k, v] = qkv(tokens)?;
        step(name, Then::Stop, || attention.prefill(&q, &k, &v).map(drop))
    };
    call("below", &attention, below - 1)?;
    call("edge", &attention, below)?;
    call("moved", &moved, MOVED - 1)?;
    call("moved edge", &moved, MOVED)?;
    call("never", &never, MOVED - 1)?;

    let [q, k, v] = qkv(MOVED - 1)?;
    let trace = step("traced", Then::Stop, || moved.prefill_traced(&q, &k, &v, &()))?;
    assert_eq!(trace.plan.why_dense(), Some(WhyDense::Short { below: MOVED }));
    assert!(trace.selection.density() >= 1.0);

    let short = moved.plan(&problem(MOVED - 1))?;
    let planned = Plan::new(&Sparse::SPEC, &problem(MOVED - 1))?;
    // `dense` has at most one word of its own.
    assert!(moved.workspace_layout(&short).iter().all(|(buffer, _)| *buffer == Scratch::AttendTickets));
    assert!(moved.workspace_layout(&planned).iter().any(|(buffer, _)| *buffer == Scratch::Lists));
    assert!(moved.workspace_bytes(&short) <= 256 && moved.workspace_bytes(&planned) > 4096);
    launches(&device, &moved, &short, &planned)?;

    step("warmup", Then::Stop, || moved.warmup(&[problem(MOVED - 1)]))?;
    // Shortened for the occasion, a context that selects does so still.
    let far = attention.clone().with_dense_below(1 << 15);
    step("warmup edge", Then::Stop, || far.warmup(&[problem(1 << 15)]))?;
    let report =
        step("tune", Then::Stop, || moved.tune(&[problem(MOVED - 1)], Duration::from_secs(60), &mut |_| ()))?;
    let tuned: Vec<_> =
        report.tuned.iter().map(|record| (record.unit.name(), record.bucket.density)).collect();
    assert_eq!(tuned, [("dense", 100)], "the bucket says what is launched");
    Ok(())
}

/// Launches by address, of the short plan and of the one that selects.
fn launches(device: &Device, attention: &Attention<bf16>, short: &Plan, planned: &Plan) -> Result<()> {
    let Device::Cuda(cuda) = device else { unreachable!("it was opened as one") };
    let stream = cuda.stream().cu_stream();
    let memory = Memory::new(attention, planned);
    let args = memory.args();
    let attend = &[Stage::Attend];
    // SAFETY: the stub's device memory is host memory, its kernels do nothing, and the memory outlives the launches.
    step("raw", Then::Stop, || unsafe { attention.launch_raw(short, &args, stream) })?;
    // SAFETY: the same.
    step("planned", Then::Stop, || unsafe { attention.launch_raw(planned, &args, stream) })?;
    println!("step stages");
    // SAFETY: the same.
    let refused = unsafe { attention.launch_stages_raw(short, &args, stream, attend) };
    let told = refused.expect_err("a selection would not be followed").to_string();
    assert!(told.contains("Plan::new") && told.contains("shorter than 1000 tokens"), "{told}");
    // SAFETY: the same.
    step("own", Then::Stop, || unsafe { attention.launch_stages_raw(planned, &args, stream, attend) })
}
