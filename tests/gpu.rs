//! The CUDA backend against the reference. Opt-in: it runs where `PROXYATTN_GPU=1` says that there is a GPU, and says
//! that it does not run elsewhere.
//!
//! Proxies are rounded to 16 bits on a GPU, so blocks whose scores are close may change places: how many do, and how
//! close they were, is printed and bounded.

#[path = "conformance/compare.rs"]
#[allow(dead_code)] // shared with the other suites
mod compare;
#[path = "conformance/inputs.rs"]
#[allow(dead_code)]
mod inputs;
#[path = "conformance/kernels.rs"]
#[allow(dead_code)]
mod kernels;
#[path = "conformance/oracle.rs"]
#[allow(dead_code)]
mod oracle;

use compare::Agreement;
use inputs::{Case, Inputs};
use kernels::*;
use oracle::Oracle;
use proxyattn::{Attention, AttentionKernel, Device, Element, Problem, RawArgs, RawTensor, Tensor};

/// Relative L2 distance of an output to the reference: probabilities are rounded to 16 bits, the output too.
const OUTPUT: f64 = 4e-3;
/// The same for a single token.
const TOKEN: f64 = 4e-2;
/// Blocks may change places when their log-scores differ by this share of the larger one (or of 1).
const SCORE: f64 = 0.05;

/// The GPU, or `None` where none was promised.
fn gpu() -> Option<Device> {
    if std::env::var_os("PROXYATTN_GPU").is_none_or(|value| value != "1") {
        eprintln!("skipped: PROXYATTN_GPU=1 runs this on CUDA device 0");
        return None;
    }
    Some(Device::cuda(0).expect("PROXYATTN_GPU promises a GPU"))
}

fn on<T: Element>(device: &Device, data: &[T], shape: [usize; 4]) -> Tensor<T> {
    let host = Tensor::from_bhsd(data.to_vec(), shape).expect("as many numbers as the shape says");
    host.to(device).expect("room on the device")
}

/// One kernel on some shapes: lists are well formed, blocks are the reference's but for close calls, and the output is
/// attention over them; traced and untraced runs agree to the bit.
fn check<K: AttentionKernel>(device: &Device, cases: &[Case]) {
    let attention = Attention::<K>::load(device).expect("the kernel loads");
    let (mut total, mut worst) = (Agreement::default(), (0.0f64, 0.0f64));
    for case in cases {
        let context = format!("{} {case:?} {:?}", K::NAME, K::SPEC);
        let inputs = Inputs::<K::Elem>::generate(case, K::SPEC.head_dim);
        let q = on(device, &inputs.q, inputs.q_shape);
        let k = on(device, &inputs.k, inputs.kv_shape);
        let v = on(device, &inputs.v, inputs.kv_shape);
        let trace = attention.prefill_traced(&q, &k, &v, &()).unwrap_or_else(|e| panic!("{e}: {context}"));

        let oracle = Oracle::new(&K::SPEC, &inputs.q(), &inputs.k(), &inputs.v());
        compare::structure(&oracle, &trace.selection).unwrap_or_else(|fault| panic!("{fault}: {context}"));
        let expected = oracle.attend(|batch, head, row| trace.selection.blocks(batch, head, row));
        let output = trace.output.into_vec().expect("the output comes back");
        let (all, token) = compare::distance(&output, &expected, K::SPEC.head_dim as usize);
        assert!(all <= OUTPUT && token <= TOKEN, "output {all:.2e}, worst token {token:.2e}: {context}");
        worst = (worst.0.max(all), worst.1.max(token));

        let agreement = compare::selection(&K::SPEC, &oracle, &trace.selection);
        assert!(agreement.gaps.is_none_or(|(_, high)| high <= SCORE), "{agreement}: {context}");
        total.add(agreement);

        let plain = attention.prefill(&q, &k, &v).and_then(Tensor::into_vec).expect("as traced");
        assert!(
            output.iter().zip(&plain).all(|(a, b)| a.to_f32().to_bits() == b.to_f32().to_bits()),
            "{context}"
        );
    }
    println!("{:<18} output {:.2e}, worst token {:.2e}; {total}", K::NAME, worst.0, worst.1);
}

/// Head ratios 1, 3, 4, 7 and 8, batches, ragged lengths, chunks at aligned and unaligned offsets.
fn shapes() -> Vec<Case> {
    vec![
        Case::new([4, 4], 1, 1),
        Case::new([4, 4], 33, 65),
        Case::new([6, 2], 200, 200),
        Case::new([8, 2], 320, 320).batch(2),
        Case::new([14, 2], 129, 300).seed(3),
        Case::new([16, 2], 64, 511).seed(4),
        Case::new([8, 2], 700, 700).seed(5),
        Case::new([4, 2], 1, 777).seed(6),
    ]
}

macro_rules! on_gpu {
    ($($name:ident: $($kernel:ident),+;)+) => {$(
        #[test]
        fn $name() {
            let Some(device) = gpu() else { return };
            $(check::<$kernel>(&device, &shapes());)+
        }
    )+};
}

on_gpu! {
    dense_matches: Dense64, Dense96, Dense128, Dense256, DenseBoth;
    dynamic_budgets_match: Small, SmallF16, Absolute, WideRows, Both, Wide;
    flat_budgets_match: WideBlocks, OneGroup, TopFour;
    shared_proxies_match: TwoGroups, OneGroup;
}

#[test]
fn long_contexts_match() {
    let Some(device) = gpu() else { return };
    let cases = [Case::new([8, 2], 2048, 2048), Case::new([6, 2], 1000, 3001).seed(2)];
    check::<Default64>(&device, &cases);
    check::<Paper64>(&device, &[Case::new([8, 2], 3000, 3000)]);
}

#[test]
fn a_captured_graph_replays() {
    use proxyattn::cudarc::driver::{DevicePtr, sys};
    let Some(device) = gpu() else { return };
    let Device::Cuda(cuda) = &device else { unreachable!("it was opened as one") };
    let attention = Attention::<Default64>::load(&device).expect("the kernel loads");
    let problem = Problem { batch: 1, heads: 6, kv_heads: 2, q_len: 1500, kv_len: 1500 };
    let case = Case { problem, seed: 7 };
    let inputs = Inputs::<half::bf16>::generate(&case, 64);
    let expected = {
        let q = on(&device, &inputs.q, inputs.q_shape);
        let k = on(&device, &inputs.k, inputs.kv_shape);
        let v = on(&device, &inputs.v, inputs.kv_shape);
        attention.prefill(&q, &k, &v).and_then(Tensor::into_vec).expect("good inputs")
    };
    let plan = attention.plan(&problem).expect("a good problem");
    let stream = cuda.stream();
    // SAFETY: nothing else uses the context in this test, and every stream here is the same one.
    unsafe { stream.context().disable_event_tracking() };
    let upload = |data: &[half::bf16]| stream.clone_htod(data).expect("room");
    let (q, k, v) = (upload(&inputs.q), upload(&inputs.k), upload(&inputs.v));
    let out = stream.alloc_zeros::<half::bf16>(inputs.q.len()).expect("room");
    let workspace = stream.alloc_zeros::<u8>(attention.workspace_bytes(&plan) as usize).expect("room");
    let tensor = |slice: &proxyattn::cudarc::driver::CudaSlice<half::bf16>, heads: i64| RawTensor {
        address: slice.device_ptr(stream).0,
        strides: [heads * 1500 * 64, 1500 * 64, 64],
    };
    let args = RawArgs {
        q: tensor(&q, 6),
        k: tensor(&k, 2),
        v: tensor(&v, 2),
        out: tensor(&out, 6),
        workspace: workspace.device_ptr(stream).0,
        workspace_bytes: attention.workspace_bytes(&plan),
    };
    stream.synchronize().expect("uploads");
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).expect("capture");
    // SAFETY: the buffers live to the end of the test and have the plan's sizes.
    unsafe { attention.launch_raw(&plan, &args, stream.cu_stream()) }.expect("launches are captured");
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = stream.end_capture(flags).expect("a graph").expect("not an empty one");
    for _ in 0..3 {
        graph.launch().expect("replays");
    }
    let got = stream.clone_dtoh(&out).expect("a copy");
    stream.synchronize().expect("replays");
    assert!(got == expected, "a replay gives what a call gives");
}
