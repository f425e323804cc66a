//! What runs under the stub driver, in a process of its own: everything that an owner of a GPU does, step by step.

use crate::memory::Memory;
use proxyattn::codegen::cuda::candidates;
use proxyattn::codegen::{Arch, Budget, Dynamic, Order, Rows, Spec, Weigh};
use proxyattn::tune::{Outcome, Progress};
use proxyattn::{
    Attention, AttentionKernel, Device, Error, LayerShares, ListView, Problem, RawArgs, RawTensor, Result,
    Stage, Tensor, Tune, dense_below, proxy_attention,
};
use std::time::Duration;

#[proxy_attention(head_dim = 64, budget = dynamic(order = list, weigh = values))]
pub(crate) struct Sparse;

#[proxy_attention(head_dim = 64, budget = per_head(0.1))]
struct OfLayer;

#[proxy_attention(head_dim = 64, budget = all)]
struct Dense;

pub(crate) const HEADS: usize = 4;
pub(crate) const KV_HEADS: usize = 2;
/// Enough that the default budget drops blocks.
pub(crate) const TOKENS: usize = 704;
pub(crate) const DIM: usize = 64;

/// How a step that failed goes on.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    /// The child ends.
    Stop,
    /// The step is done once more: the driver fails but once.
    Retry,
}

/// `Device::cuda` and `Device::auto` with a driver that cannot be used.
pub(crate) fn open() {
    match Device::cuda(0) {
        Ok(device) => println!("told: a device, {device:?}"),
        Err(error) => report(&error),
    }
    assert_eq!(Device::auto(), Device::Cpu, "the CPU is always there");
    assert!(Device::why_not_cuda().is_some());
}

pub(crate) fn problem(tokens: usize) -> Problem {
    Problem { batch: 1, heads: HEADS, kv_heads: KV_HEADS, q_len: tokens, kv_len: tokens }
}

/// A sparse problem, long enough for that on every GPU, and a dense one.
fn problems() -> [Problem; 2] {
    [dense_below::SM_80.max(dense_below::SM_90A), TOKENS / 4].map(problem)
}

/// The configuration of `Sparse` with this share of the mass, as a value: tuned, and put to the test again.
pub(crate) fn tune_value(gamma: f64) {
    let device = Device::cuda(0).expect("the stub's device");
    let (order, weigh) = (Order::List, Weigh::Values);
    let budget = Budget::Dynamic(Dynamic { gamma, min_tokens: 512, rows: Rows::Ratio, order, weigh });
    let spec = Spec { head_dim: 64, budget, ..Spec::DEFAULT };
    let attention = Attention::<half::bf16>::load(&spec, &device).expect("it loads");
    println!("found {}", attention.tuned().choices.len());
    let nothing = attention.remeasure(&problems(), &mut |_| ()).expect("it measures");
    assert!(nothing.is_empty() || !attention.tuned().choices.is_empty(), "{nothing:?}");
    let report = attention.tune(&problems(), Duration::from_secs(60), &mut |_| ()).expect("it measures");
    assert!(report.tuned.iter().all(|record| record.attribute == spec.attribute()), "{report:?}");
    assert_eq!(attention.records().expect("a cache").len(), report.tuned.len());
    for again in attention.remeasure(&problems(), &mut |_| ()).expect("it measures") {
        println!("again {} {:?} {:?}", again.choice.unit, again.default_ms, again.tuned_ms);
        let plan = attention.plan(&again.problem).expect("a plan");
        assert!(attention.choices(&plan).contains(&again.choice));
    }
    println!("done");
}

/// How many records of a value are found by the attribute.
pub(crate) fn find() {
    let device = Device::cuda(0).expect("the stub's device");
    let sparse = Sparse::load(&device).expect("it loads");
    println!("found {}", sparse.tuned().choices.len());
    println!("done");
}

/// The problems tuned, if no record of them is found.
pub(crate) fn tune() {
    let device = Device::cuda(0).expect("the stub's device");
    let attention = Sparse::load_tuned(&device, Tune::Cached, &[]).expect("it loads");
    let problems = problems();
    let found = attention.tuned();
    println!("found {}", found.choices.len());
    found.refused.iter().for_each(|why| println!("refused {why}"));
    attention.warmup(&problems).expect("it warms up");
    if found.choices.is_empty() {
        let (mut rounds, mut to_compile) = (0, 0);
        let mut count = |progress: &Progress<'_>| match *progress {
            Progress::Unit { candidates, .. } => to_compile = candidates,
            Progress::Compiled { .. } => to_compile -= 1,
            Progress::Ready { .. } => {
                assert_eq!(to_compile, 0, "told one by one, and all before the first is used")
            }
            Progress::Round { .. } => rounds += 1,
            _ => {}
        };
        let report = attention.tune(&problems, Duration::from_secs(60), &mut count).expect("it measures");
        let units: Vec<_> = report.tuned.iter().map(|record| record.unit.name()).collect();
        println!("measured {}", units.join(", "));
        assert!(report.skipped.is_empty() && report.refused.is_empty() && rounds >= 9, "{report:?}");
        assert!(report.stored_in.is_some(), "{:?}", report.store_trouble);
        for record in &report.tuned {
            let arch = attention.arch().expect("a GPU");
            assert_eq!(record.arch, arch.as_str());
            assert_eq!(record.measurements.len(), candidates(&Sparse::SPEC, arch, record.unit).len() + 1);
            // Where all take a millisecond nothing beats the default; a CTA of four heads does not fit two.
            let won = record.measurements.iter().find(|measurement| measurement.outcome == Outcome::Won);
            assert_eq!(won.expect("a winner").constants, record.winner);
            assert_eq!(record.winner_ms < record.default_ms, !record.winner.is_empty());
            println!("winner {} {:?} {}", record.unit, record.winner_ms, record.winner.len());
            for measurement in &record.measurements[1..] {
                let packs =
                    measurement.constants.iter().any(|c| c.name == "TILE_HEADS" || c.name == "WARPGROUPS");
                let failed = matches!(&measurement.outcome, Outcome::Failed { why } if why.contains("heads"));
                assert!(packs || !failed, "{measurement:?}");
                assert!(failed || !measurement.rounds.is_empty(), "{measurement:?}");
            }
        }
        assert_eq!(attention.tuned().choices.len(), 3, "they are in use at once");
        let late = attention.tune(&problems, Duration::ZERO, &mut |_| ()).expect("no time is no error");
        assert_eq!((late.tuned.len(), late.skipped.len()), (0, 3));
    }
    let off = Sparse::load_tuned(&device, Tune::Off, &[]).expect("it loads").with_dense_below(0);
    assert!(off.tuned().choices.is_empty());
    // What has a record is not measured again.
    let now = Tune::Now(Duration::from_secs(60));
    let now = Sparse::load_tuned(&device, now, &problems).expect("it measures");
    println!("now {}", now.tuned().choices.len());
    let now = now.with_dense_below(0);
    let tensor = |heads| Tensor::zeros([1, heads, TOKENS, DIM]).and_then(|t| t.to(&device)).expect("room");
    let (q, k, v) = (tensor(HEADS), tensor(KV_HEADS), tensor(KV_HEADS));
    println!("step tuned");
    now.prefill(&q, &k, &v).expect("it runs");
    println!("step default");
    off.prefill(&q, &k, &v).expect("it runs");
    println!("step end");
    println!("done");
}

fn report(error: &Error) {
    let variant = match error {
        Error::Unavailable { .. } | Error::DriverNotFound { .. } => "unavailable",
        Error::Cuda { code: 999, .. } => "cuda",
        _ => "other",
    };
    println!("told: {variant}: {error}");
}

/// One step, announced.
pub(crate) fn step<T>(name: &str, then: Then, mut run: impl FnMut() -> Result<T>) -> Result<T> {
    println!("step {name}");
    run().or_else(|error| {
        report(&error);
        if then == Then::Stop { Err(error) } else { run() }
    })
}

/// The whole way. Ends at the first error that a step does not get over.
pub(crate) fn run(then: Then) {
    match steps(then) {
        Ok(()) => println!("done"),
        Err(_) if then == Then::Stop => {}
        Err(error) => panic!("once more: {error}"),
    }
}

fn steps(then: Then) -> Result<()> {
    let device = step("open", then, || Device::cuda(0))?;
    let attention = step("load", then, || Sparse::load(&device))?.with_dense_below(0);
    let dense = step("load", then, || Dense::load(&device))?;

    let shape = |heads: usize| [1, heads, TOKENS, DIM];
    let host = |heads: usize| {
        let numbers = (0..heads * TOKENS * DIM).map(|i| half::bf16::from_f32((i % 251) as f32));
        Tensor::from_bhsd(numbers.collect(), shape(heads)).expect("as many numbers as the shape says")
    };
    let (some, more) = (host(KV_HEADS), host(HEADS));
    let (q, k, v) = step("upload", then, || Ok((more.to(&device)?, some.to(&device)?, some.to(&device)?)))?;
    let out = step("prefill", then, || attention.prefill(&q, &k, &v))?;
    let trace = step("traced", then, || attention.prefill_traced(&q, &k, &v, &()))?;
    assert_eq!(trace.selection.count(0, 0, 0), 0, "kernels of the stub write nothing");
    let all = step("dense", then, || dense.prefill(&q, &k, &v))?;
    // A list for each query head: every row visits the blocks before it.
    let rows = TOKENS / 64;
    let visits = |i: usize| if i % rows <= i / rows % rows { (i % rows) as i32 } else { -1 };
    let ids: Vec<i32> = (0..HEADS * rows * rows).map(visits).collect();
    let view = ListView::heads_first(&ids, [1, HEADS, rows, rows])?;
    let lists = step("lists", then, || attention.lists(&problem(TOKENS), &view))?;
    let over = step("given", then, || attention.prefill_with(&q, &k, &v, &lists))?;
    // A head that is pruned.
    let shares = LayerShares::new(&[1.0, 0.0, 1.0, 2.0])?;
    let of_layer = step("layer", then, || OfLayer::load_layer(&device, &shares))?.with_dense_below(0);
    let pruned = step("pruned", then, || of_layer.prefill(&q, &k, &v))?;
    let copy = step("copy", then, || q.to(&device))?;
    let back = step("download", then, || copy.to(&Device::cpu()))?;
    assert!(back.as_slice() == more.as_slice(), "what comes back is what was sent");

    let Device::Cuda(cuda) = &device else { unreachable!("it was opened as one") };
    let stream = cuda.stream().cu_stream();
    let plan = attention.plan(&problem(TOKENS))?;
    let memory = Memory::new(&attention, &plan);
    let args = memory.args();
    // SAFETY: the stub's device memory is host memory, and its kernels do nothing.
    step("raw", then, || unsafe { attention.launch_raw(&plan, &args, stream) })?;
    // SAFETY: the same.
    step("attend", then, || unsafe { attention.launch_stages_raw(&plan, &args, stream, &[Stage::Attend]) })?;
    if attention.arch() == Some(Arch::Sm90a) && then == Then::Stop {
        let far = RawTensor { strides: [1 << 20, 1 << 40, 64], ..args.k };
        // SAFETY: the same.
        let refused = unsafe { attention.launch_raw(&plan, &RawArgs { k: far, ..args }, stream) };
        let told = refused.expect_err("no tensor map steps that far").to_string();
        assert!(told.starts_with("`k`: expected strides"), "{told}");
    }

    println!("step release");
    drop((out, trace, all, lists, over, of_layer, pruned, copy, q, k, v, attention, dense, device));
    Ok(())
}
