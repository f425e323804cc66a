//! A problem to measure kernels on: inputs in device memory, events around launches, and outputs to compare.

use crate::cuda::device::{event_elapsed, failed, no_memory};
use crate::cuda::launch::{Lanes, Launch, RawArgs, RawTensor};
use crate::cuda::load::{LoadedKernel, Loader};
use crate::layer::Layer;
use crate::tune::Bucket;
use crate::{Plan, Result, Stage};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, result, sys::CUevent_flags};
use half::{bf16, f16};
use proxyattn_codegen::cuda::Scratch;
use proxyattn_codegen::{Dtype, Place};
use std::sync::Arc;

/// Random elements that every input is filled from, piece by piece: 32 MiB, longer than a head of 64K tokens.
const POOL: usize = 1 << 24;
/// How far the pieces of the pool are turned against each other, in elements: a multiple of 8 that does not divide it.
const TURN: usize = 1_048_584;
/// All inputs together are this many times as large as the L2 cache, so that no launch finds its own there.
const ROTATION: u64 = 2;
/// The most inputs there are.
const SETS: u64 = 16;
/// Bytes of an output before it is written: finite, and unlike any mean of the inputs.
const POISON: u8 = 0x4b;
/// An output is compared in so many pieces of so many tokens, spread evenly.
const PIECES: usize = 64;
const PIECE_TOKENS: usize = 4096;

/// A relative distance between two outputs of a token that rounding to 16 bits does not explain.
const TOKEN: f32 = 0.04;

/// Inputs, an output and a workspace.
struct Set {
    /// Held for their addresses in `args`.
    _inputs: [CudaSlice<u8>; 3],
    out: CudaSlice<u8>,
    workspace: CudaSlice<u8>,
    args: RawArgs,
}

/// A plan with inputs for it.
pub(super) struct Bench<'a> {
    loader: &'a Loader,
    /// The kernels with their default tiles.
    default: Arc<[Arc<LoadedKernel>]>,
    pub(super) launch: Launch<'a>,
    sets: Vec<Set>,
    turn: usize,
}

impl<'a> Bench<'a> {
    /// Allocates and fills.
    pub(super) fn new(
        loader: &'a Loader,
        lanes: &'a Lanes,
        default: &Arc<[Arc<LoadedKernel>]>,
        plan: &'a Plan,
        layer: Option<&'a Layer>,
    ) -> Result<Self> {
        let launch = Launch::new(loader, lanes, default.clone(), plan, layer)?;
        loader.device.bind()?;
        let pool = loader.device.stream().clone_htod(&pool(loader.spec.dtype));
        let pool = pool.map_err(failed("copying to the device"))?;
        let problem = plan.problem();
        let row = loader.spec.head_dim as usize * 2;
        let [q, k] = [(problem.heads, problem.q_len), (problem.kv_heads, problem.kv_len)]
            .map(|(heads, tokens)| problem.batch * heads * tokens * row);
        let bytes = 2 * (q as u64 + k as u64) + launch.layout.bytes();
        let count = (ROTATION * loader.device.l2_bytes()).div_ceil(bytes).clamp(1, SETS);
        let set = |i: u64| Set::new(loader, &launch, &pool, [q, k, k], i as usize);
        let sets = (0..count).map(set).collect::<Result<_>>()?;
        Ok(Self { loader, default: default.clone(), launch, sets, turn: 0 })
    }

    /// Fills every workspace with what `attend` reads, by the default kernels.
    pub(super) fn prepare(&mut self) -> Result<()> {
        let default = self.default.clone();
        for i in 0..self.sets.len() {
            self.run(i, &default)?;
        }
        self.wait()
    }

    /// Milliseconds of one launch of these kernels, on the next inputs.
    pub(super) fn time(&mut self, kernels: &[Arc<LoadedKernel>]) -> Result<f32> {
        let stream = self.loader.device.stream();
        self.turn = (self.turn + 1) % self.sets.len();
        let set = &self.sets[self.turn];
        // The kernels may run without those that do it.
        for word in kernels.iter().flat_map(|kernel| kernel.table.counts()) {
            let address = set.args.workspace + self.launch.layout.range(word).start;
            // SAFETY: the layout has the buffers of every kernel of the plan, so the word lies in the set's workspace.
            unsafe { result::memset_d8_async(address, 0, 4, stream.cu_stream()) }
                .map_err(failed("cuMemsetD8Async"))?;
        }
        let event = || stream.context().new_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
        let [begin, end] = [event(), event()];
        let (begin, end) = (begin.map_err(failed("cuEventCreate"))?, end.map_err(failed("cuEventCreate"))?);
        begin.record(stream).map_err(failed("cuEventRecord"))?;
        self.launch(set, kernels, Stage::ALL)?;
        end.record(stream).map_err(failed("cuEventRecord"))?;
        end.synchronize().map_err(failed("cuEventSynchronize"))?;
        let mut ms = 0.0;
        // SAFETY: both events are of this context and have been recorded.
        unsafe { event_elapsed()?(&mut ms, begin.cu_event(), end.cu_event()) }
            .result()
            .map_err(failed("cuEventElapsedTime"))?;
        Ok(ms)
    }

    /// Pieces of the output of the whole pipeline with these kernels, on the first inputs.
    pub(super) fn output(&mut self, kernels: &[Arc<LoadedKernel>]) -> Result<Vec<u8>> {
        let stream = self.loader.device.stream();
        let out = &self.sets[0].out;
        // SAFETY: the output is as long as it says, and nothing else uses it.
        unsafe {
            result::memset_d8_async(self.sets[0].args.out.address, POISON, out.len(), stream.cu_stream())
        }
        .map_err(failed("cuMemsetD8Async"))?;
        self.run(0, kernels)?;
        let out = &self.sets[0].out;
        let row = self.loader.spec.head_dim as usize * 2;
        let tokens = out.len() / row;
        let pieces = tokens.div_ceil(PIECE_TOKENS).min(PIECES);
        let mut sample = Vec::new();
        for piece in 0..pieces {
            let from = (tokens.saturating_sub(PIECE_TOKENS) * piece).checked_div(pieces - 1).unwrap_or(0);
            let to = (from + PIECE_TOKENS).min(tokens);
            let copy = stream.clone_dtoh(&out.slice(from * row..to * row));
            sample.extend(copy.map_err(failed("cuMemcpyDtoHAsync"))?);
        }
        self.wait()?;
        Ok(sample)
    }

    /// How many of the tokens of two outputs differ by more than rounding, as a share, and the largest relative distance.
    pub(super) fn compare(&self, expected: &[u8], got: &[u8]) -> (f64, f32) {
        let dtype = self.loader.spec.dtype;
        let number = |bytes: &[u8]| match dtype {
            Dtype::F16 => f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
            Dtype::Bf16 => bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        };
        let row = self.loader.spec.head_dim as usize * 2;
        let (mut differ, mut worst) = (0usize, 0.0f32);
        for (expected, got) in expected.chunks_exact(row).zip(got.chunks_exact(row)) {
            if expected == got {
                continue;
            }
            let (mut distance, mut norm) = (0.0f32, 0.0f32);
            for (a, b) in expected.chunks_exact(2).map(number).zip(got.chunks_exact(2).map(number)) {
                distance += (a - b) * (a - b);
                norm += a * a;
            }
            let relative = (distance / norm.max(f32::MIN_POSITIVE)).sqrt();
            let relative = if relative.is_finite() { relative } else { f32::INFINITY };
            worst = worst.max(relative);
            differ += usize::from(relative > TOKEN);
        }
        (differ as f64 / (expected.len() / row).max(1) as f64, worst)
    }

    /// The whole pipeline. The mass of random inputs is not concentrated as that of real ones, so the measured budget is
    /// replaced by that of the bucket.
    fn run(&mut self, set: usize, kernels: &[Arc<LoadedKernel>]) -> Result<()> {
        let counts = self.counts();
        self.launch(&self.sets[set], kernels, &[Stage::Pool, Stage::Score, Stage::Budget])?;
        if let Some(counts) = counts {
            let range = self.launch.layout.range(Scratch::Measured);
            let mut measured = self.sets[set].workspace.slice_mut(range.start as usize..range.end as usize);
            let stream = self.loader.device.stream();
            stream.memcpy_htod(&counts, &mut measured).map_err(failed("cuMemcpyHtoDAsync"))?;
        }
        self.launch(&self.sets[set], kernels, &[Stage::Select])?;
        if self.loader.spec.budget.ends_by_score() {
            self.shorten(set)?;
        }
        self.launch(&self.sets[set], kernels, &[Stage::Attend])
    }

    /// Of lists that ended by scores, which hardly tell blocks of random inputs apart, as much as the bucket keeps.
    fn shorten(&mut self, set: usize) -> Result<()> {
        let (plan, loader) = (self.launch.plan, self.loader);
        if plan.is_dense() {
            return Ok(());
        }
        let (share, rows) = (Bucket::of(plan).share(), plan.geometry().rows());
        let range = self.launch.layout.range(Scratch::Counts);
        let mut counts = self.sets[set].workspace.slice_mut(range.start as usize..range.end as usize);
        let stream = loader.device.stream();
        let mut host = stream.clone_dtoh(&counts).map_err(failed("cuMemcpyDtoHAsync"))?;
        stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
        for (i, count) in host.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let most = (plan.geometry().visible(i % rows) as f64 * share).ceil().max(1.0) as u32;
            *count = u32::from_ne_bytes(*count).min(most).to_ne_bytes();
        }
        stream.memcpy_htod(&host, &mut counts).map_err(failed("cuMemcpyHtoDAsync"))
    }

    /// Blocks of each head or group of them, where the budget is measured: those of the bucket, more for some heads than for
    /// others.
    fn counts(&self) -> Option<Vec<u8>> {
        let (plan, spec) = (self.launch.plan, &self.loader.spec);
        let layout = spec.budget.measures()?;
        let share = spec.measured_share(Bucket::of(plan).share())?;
        if plan.is_dense() {
            return None;
        }
        let count = |place: Place| {
            let visible = plan.geometry().visible(place.row as usize) as f64;
            let spread = [0.7, 0.9, 1.1, 1.3][place.head as usize % 4];
            (visible * share * spread).ceil().clamp(1.0, visible) as u32
        };
        let places = layout.places(spec, &plan.problem().into()).into_iter();
        Some(places.flat_map(|place| count(place).to_ne_bytes()).collect())
    }

    fn launch(&self, set: &Set, kernels: &[Arc<LoadedKernel>], stages: &[Stage]) -> Result<()> {
        let stream = self.loader.device.stream().cu_stream();
        // SAFETY: the set's tensors and workspace were made for the plan, and are used on this stream alone.
        unsafe { self.launch.run_other(kernels, &set.args, stream, stages) }
    }

    fn wait(&self) -> Result<()> {
        self.loader.device.stream().synchronize().map_err(failed("cuStreamSynchronize"))
    }
}

impl Set {
    fn new(
        loader: &Loader,
        launch: &Launch<'_>,
        pool: &CudaSlice<u8>,
        inputs: [usize; 3],
        turn: usize,
    ) -> Result<Self> {
        let stream = loader.device.stream();
        let alloc = |bytes: usize| {
            // SAFETY: inputs are filled below, the workspace and the output are written before they are read.
            let memory = unsafe { stream.alloc::<u8>(bytes) };
            memory.map_err(no_memory("allocating for tuning", "inputs to measure on", bytes as u64))
        };
        let [q, k, v] = inputs;
        let mut inputs = [alloc(q)?, alloc(k)?, alloc(v)?];
        let out = alloc(q)?;
        let workspace = alloc(launch.layout.bytes().max(1) as usize)?;
        for (i, input) in inputs.iter_mut().enumerate() {
            fill(stream, input, pool, (3 * turn + i) * TURN * 5)?;
        }
        let (problem, dim) = (launch.plan.problem(), i64::from(loader.spec.head_dim));
        let tensor = |slice: &CudaSlice<u8>, heads: usize, tokens: usize| {
            let (heads, tokens) = (heads as i64, tokens as i64);
            // All work is on one stream, whose order is enough.
            RawTensor {
                address: slice.device_ptr(stream).0,
                strides: [heads * tokens * dim, tokens * dim, dim],
            }
        };
        let [q, k, v] = &inputs;
        let args = RawArgs {
            q: tensor(q, problem.heads, problem.q_len),
            k: tensor(k, problem.kv_heads, problem.kv_len),
            v: tensor(v, problem.kv_heads, problem.kv_len),
            out: tensor(&out, problem.heads, problem.q_len),
            workspace: workspace.device_ptr(stream).0,
            workspace_bytes: launch.layout.bytes(),
        };
        launch.check(&args)?;
        Ok(Self { _inputs: inputs, out, workspace, args })
    }
}

/// Fills a buffer with copies of the pool, each of which starts at another place.
fn fill(stream: &Arc<CudaStream>, to: &mut CudaSlice<u8>, pool: &CudaSlice<u8>, turn: usize) -> Result<()> {
    let (mut at, mut from) = (0, turn % POOL * 2);
    while at < to.len() {
        let bytes = (to.len() - at).min(pool.len() - from);
        let copied = stream.memcpy_dtod(&pool.slice(from..from + bytes), &mut to.slice_mut(at..at + bytes));
        copied.map_err(failed("cuMemcpyDtoDAsync"))?;
        at += bytes;
        from = (from + bytes + 2 * TURN) % pool.len();
    }
    Ok(())
}

/// Uniform numbers of unit variance.
fn pool(dtype: Dtype) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let number = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let number = ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 12f32.sqrt();
        match dtype {
            Dtype::F16 => f16::from_f32(number).to_le_bytes(),
            Dtype::Bf16 => bf16::from_f32(number).to_le_bytes(),
        }
    };
    std::iter::repeat_with(number).take(POOL).flatten().collect()
}
