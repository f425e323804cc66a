//! Launches by address: a captured graph, and a selection that was not made here.

use super::*;
use proxyattn::cudarc::driver::{CudaSlice, CudaStream, DevicePtr, sys};
use proxyattn::{Problem, RawArgs, RawTensor, Scratch, Stage};
use std::sync::Arc;

#[test]
fn a_captured_graph_replays() {
    let Some(device) = gpu() else { return };
    let Device::Cuda(cuda) = &device else { unreachable!("it was opened as one") };
    let attention = Default64::load(&device).expect("the kernel loads").with_dense_below(0);
    let problem = Problem { batch: 1, heads: 6, kv_heads: 2, q_len: 1500, kv_len: 1500 };
    let case = Case { problem, seed: 7 };
    let inputs = Inputs::<bf16>::generate(&case, 64);
    let expected = {
        let q = on(&device, &inputs.q, inputs.q_shape);
        let k = on(&device, &inputs.k, inputs.kv_shape);
        let v = on(&device, &inputs.v, inputs.kv_shape);
        attention.prefill(&q, &k, &v).and_then(Tensor::into_vec).expect("good inputs")
    };
    let plan = attention.plan(&problem).expect("a good problem");
    let stream = cuda.stream();
    // SAFETY: nothing else uses the context in this test, and streams are waited for before another one goes on.
    unsafe { stream.context().disable_event_tracking() };
    let mut buffers = Buffers::new(stream, &inputs, attention.workspace_bytes(&plan));
    let args = buffers.args;
    stream.synchronize().expect("uploads");
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).expect("capture");
    // SAFETY: the buffers live to the end of the test and have the plan's sizes.
    unsafe { attention.launch_raw(&plan, &args, stream.cu_stream()) }.expect("launches are captured");
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = stream.end_capture(flags).expect("a graph").expect("not an empty one");
    for _ in 0..3 {
        graph.launch().expect("replays");
    }
    assert!(buffers.take(stream) == expected, "a replay gives what a call gives");

    // Two calls in one capture, and one of another thread's on another stream meanwhile. (A capture that binds all threads
    // would be ended by the copies of other tests.)
    let [captured, other] = [(); 2].map(|()| stream.context().new_stream().expect("a stream"));
    let mut elsewhere = Buffers::new(&other, &inputs, attention.workspace_bytes(&plan));
    let far = elsewhere.args;
    other.synchronize().expect("uploads");
    captured.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).expect("capture");
    // SAFETY: the same.
    let launch = |args, stream: &CudaStream| unsafe { attention.launch_raw(&plan, args, stream.cu_stream()) };
    launch(&args, &captured).expect("launches are captured");
    std::thread::scope(|scope| {
        scope.spawn(|| launch(&far, &other).expect("nothing is captured"));
    });
    launch(&args, &captured).expect("launches are captured");
    let graph = captured.end_capture(flags).expect("a graph").expect("not an empty one");
    graph.launch().expect("a replay");
    assert!(buffers.take(&captured) == expected, "the last of two calls gives what one gives");
    assert!(elsewhere.take(&other) == expected, "a call beside a capture is none of it");
}

/// Inputs of [`a_captured_graph_replays`] on the device, an output and a workspace.
struct Buffers {
    _inputs: [CudaSlice<bf16>; 3],
    out: CudaSlice<bf16>,
    _workspace: CudaSlice<u8>,
    args: RawArgs,
}

impl Buffers {
    fn new(stream: &Arc<CudaStream>, inputs: &Inputs<bf16>, workspace_bytes: u64) -> Self {
        let [q, k, v] = [&inputs.q, &inputs.k, &inputs.v].map(|data| stream.clone_htod(data).expect("room"));
        let out = stream.alloc_zeros::<bf16>(inputs.q.len()).expect("room");
        let workspace = stream.alloc_zeros::<u8>(workspace_bytes as usize).expect("room");
        let tensor = |slice: &CudaSlice<bf16>, heads: i64| RawTensor {
            address: slice.device_ptr(stream).0,
            strides: [heads * 1500 * 64, 1500 * 64, 64],
        };
        let args = RawArgs {
            q: tensor(&q, 6),
            k: tensor(&k, 2),
            v: tensor(&v, 2),
            out: tensor(&out, 6),
            workspace: workspace.device_ptr(stream).0,
            workspace_bytes,
        };
        Self { _inputs: [q, k, v], out, _workspace: workspace, args }
    }

    /// The output, which is zero again then.
    fn take(&mut self, stream: &Arc<CudaStream>) -> Vec<bf16> {
        let got = stream.clone_dtoh(&self.out).expect("a copy");
        stream.memset_zeros(&mut self.out).expect("zeros");
        stream.synchronize().expect("kernels");
        got
    }
}

/// A selection of the caller's own, in the buffers that `launch_stages_raw` describes: every head of a group sees the
/// sink and the diagonal, and one more block of the past for each place that it has in the group.
#[test]
fn a_selection_of_ones_own_is_followed() {
    let Some(device) = gpu() else { return };
    own_selection::<Default64>(&device);
    own_selection::<Portable>(&device);
}

fn own_selection<K: AttentionKernel<Elem = bf16>>(device: &Device) {
    let Device::Cuda(cuda) = device else { unreachable!("it was opened as one") };
    let (stream, heads) = (cuda.stream(), 4);
    let attention = K::load(device).expect("the kernel loads").with_dense_below(0);
    let case = Case::new([8, 2], 1000, 1300);
    let plan = attention.plan(&case.problem).expect("a good problem");
    let (rows, blocks) = (plan.geometry().rows(), plan.geometry().blocks());
    let own = |row: usize| {
        let (diagonal, seen) = (plan.geometry().diagonal(row), plan.geometry().diagonal(row).start as u32);
        let mut list: Vec<u32> = (0..1).chain(diagonal.map(|block| block as u32)).collect();
        let run = list.len();
        list.extend((1..seen).step_by(3).take(heads - 1));
        (list, run)
    };
    let count = |head: usize, row: usize| (own(row).1 + head % heads).min(own(row).0.len());

    let mut workspace = vec![0u8; attention.workspace_bytes(&plan) as usize];
    let layout = attention.workspace_layout(&plan);
    let mut put = |buffer: Scratch, words: Vec<u32>| {
        let (_, range) = layout.iter().find(|(known, _)| *known == buffer).expect("such a buffer");
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        workspace[range.start as usize..range.end as usize].copy_from_slice(&bytes);
    };
    let lists = (0..2 * rows).map(|i| own(i % rows).0);
    let lists: Vec<u32> = lists.flat_map(|mut list| (list.resize(blocks, 0), list).1).collect();
    let counts: Vec<u32> = (0..8 * rows).map(|i| count(i / rows, i % rows) as u32).collect();
    put(Scratch::Lists, lists.clone());
    put(Scratch::Counts, counts.clone());
    put(Scratch::Runs, (0..2 * rows).map(|i| own(i % rows).1 as u32).collect());

    let inputs = Inputs::<bf16>::generate(&case, 64);
    let [q, k, v] = [&inputs.q, &inputs.k, &inputs.v].map(|data| stream.clone_htod(data).expect("room"));
    let out = stream.alloc_zeros::<bf16>(inputs.q.len()).expect("room");
    let workspace = stream.clone_htod(&workspace).expect("room");
    let tensor = |slice: &CudaSlice<bf16>, heads: i64, tokens: i64| RawTensor {
        address: slice.device_ptr(stream).0,
        strides: [heads * tokens * 64, tokens * 64, 64],
    };
    let args = RawArgs {
        q: tensor(&q, 8, 1000),
        k: tensor(&k, 2, 1300),
        v: tensor(&v, 2, 1300),
        out: tensor(&out, 8, 1000),
        workspace: workspace.device_ptr(stream).0,
        workspace_bytes: attention.workspace_bytes(&plan),
    };
    // SAFETY: the buffers live to the end of the function and have the plan's sizes, and the workspace holds lists,
    // counts, runs and a ticket of zero.
    unsafe { attention.launch_stages_raw(&plan, &args, stream.cu_stream(), &[Stage::Attend]) }
        .expect("a launch");
    let got = stream.clone_dtoh(&out).expect("a copy");
    stream.synchronize().expect("the kernel");
    let oracle = Oracle::new(&K::SPEC, &inputs.q(), &inputs.k(), &inputs.v());
    let expected = oracle.attend(&KernelLists::new(&oracle, lists, counts));
    let (all, token) = compare::distance(&got, &expected, 64);
    assert!(all <= OUTPUT && token <= TOKEN, "output {all:.2e}, worst token {token:.2e}: {}", K::NAME);
}
