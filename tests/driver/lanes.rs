//! Launches on several streams under the stub driver, in captures and out of them: which stream gets what.

use crate::child::{Sparse, TOKENS, Then, problem, step};
use crate::memory::Memory;
use half::bf16;
use proxyattn::cudarc::driver::sys::{CUstream, CUstreamCaptureMode};
use proxyattn::cudarc::driver::{CudaStream, result};
use proxyattn::{Attention, AttentionKernel, Device, Plan, Result, Stage, proxy_attention};
use std::sync::Arc;

#[proxy_attention(head_dim = 64, budget = ratio(0.25))]
struct Flat;

/// A budget that needs nothing of the scorer.
#[proxy_attention(head_dim = 64, budget = dynamic(order = own, weigh = none))]
struct Own;

/// More than what is kept for streams of their own.
const STREAMS: usize = 24;
const THREADS: usize = 4;

/// A kernel and a problem for it.
struct Loaded {
    attention: Attention<bf16>,
    plan: Plan,
    memory: Memory,
}

impl Loaded {
    fn new<K: AttentionKernel<Elem = bf16>>(device: &Device) -> Result<Self> {
        let attention = K::load(device)?.with_dense_below(0);
        let plan = attention.plan(&problem(TOKENS))?;
        let memory = Memory::new(&attention, &plan);
        Ok(Self { attention, plan, memory })
    }

    fn launch(&self, stream: CUstream, stages: &[Stage]) -> Result<()> {
        // SAFETY: nothing is read or written, and the stream is one of the device's.
        unsafe { self.attention.launch_stages_raw(&self.plan, &self.memory.args(), stream, stages) }
    }
}

pub(crate) fn run() {
    steps().expect("the stub does everything");
    println!("done");
}

fn steps() -> Result<()> {
    let device = Device::cuda(0)?;
    let Device::Cuda(cuda) = &device else { unreachable!("it was opened as one") };
    let (sparse, flat) = (Loaded::new::<Sparse>(&device)?, Loaded::new::<Flat>(&device)?);
    let streams: Vec<_> =
        (0..STREAMS).map(|_| cuda.stream().context().new_stream().expect("a stream")).collect();
    let of = |stream: &Arc<CudaStream>| stream.cu_stream();
    let call = |name: &str, stream: CUstream, stages: &[Stage]| {
        step(name, Then::Stop, || sparse.launch(stream, stages))
    };

    call("first", of(&streams[0]), Stage::ALL)?;
    call("again", of(&streams[0]), Stage::ALL)?;
    call("elsewhere", of(&streams[1]), Stage::ALL)?;
    let alone = Loaded::new::<Own>(&device)?;
    step("own", Then::Stop, || alone.launch(of(&streams[0]), Stage::ALL))?;
    step("flat", Then::Stop, || flat.launch(of(&streams[0]), Stage::ALL))?;
    step("single", Then::Stop, || {
        Stage::ALL.iter().try_for_each(|&stage| sparse.launch(of(&streams[0]), &[stage]))
    })?;
    call("without select", of(&streams[0]), &[Stage::Score, Stage::Budget])?;
    call("without score", of(&streams[0]), &[Stage::Budget, Stage::Select])?;

    let captured = of(&streams[0]);
    // SAFETY: the stream exists.
    let begun = || unsafe {
        result::stream::begin_capture(captured, CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL)
    };
    begun().expect("a capture");
    call("captured", captured, Stage::ALL)?;
    call("captured again", captured, Stage::ALL)?;
    step("others", Then::Stop, || {
        streams[1..].iter().try_for_each(|stream| sparse.launch(of(stream), Stage::ALL))
    })?;
    // SAFETY: the same.
    unsafe { result::stream::end_capture(captured) }.expect("every stream of the capture was joined");
    call("later", captured, Stage::ALL)?;

    println!("step threads");
    std::thread::scope(|scope| {
        for stream in &streams[..THREADS] {
            let sparse = &sparse;
            scope.spawn(move || {
                let launched = (0..10).try_for_each(|_| sparse.launch(stream.cu_stream(), Stage::ALL));
                launched.expect("the stub does everything");
            });
        }
    });
    println!("step end");
    Ok(())
}
