//! A loaded kernel, and how it is called.

use crate::cuda::RawArgs;
use crate::tune::{Choice, Progress, Remeasured, Tune, TuneReport, Tuned};
use crate::{
    AnyAttention, AsView, Device, Element, Error, Observer, Plan, Problem, Result, Selection, Stage,
    StageTimes, Tensor, Trace, View, ViewMut,
};
use core::marker::PhantomData;
use core::ops::Range;
use core::time::Duration;
use cudarc::driver::sys::CUstream;
use proxyattn_codegen::cuda::{Candidates, Scratch, emit};
use proxyattn_codegen::{Arch, Spec};

/// A type that stands for one attention configuration. `#[proxy_attention]` implements it.
pub trait AttentionKernel: 'static {
    /// The type's name, for messages.
    const NAME: &'static str;
    /// The configuration.
    const SPEC: Spec;
    /// Element type of Q, K, V and the output; `SPEC.dtype` as a type.
    type Elem: Element;
    /// The tiles that a tuner may choose between, beside the default ones; `#[proxy_attention]` gives those of
    /// [`candidates`](proxyattn_codegen::cuda::candidates). Without any there is nothing to tune.
    const CANDIDATES: &'static [Candidates] = &[];

    /// The CUDA text of the configuration for a family of GPUs, with its default tiles: header-free, to be read, diffed,
    /// or compiled elsewhere. [`Arch::Sm80`] runs from Ampere on, Hopper included; [`Arch::Sm90a`] is for Hopper alone.
    ///
    /// # Panics
    /// If `SPEC` breaks a rule, which the attribute rules out.
    fn cuda_source(arch: Arch) -> String {
        emit(&Self::SPEC, arch).source()
    }
}

/// A kernel that is ready to run on a device. Cheap to clone, safe to share.
pub struct Attention<K: AttentionKernel> {
    /// The same, of a configuration that is a value.
    any: AnyAttention<K::Elem>,
    kernel: PhantomData<fn() -> K>,
}

impl<K: AttentionKernel> Attention<K> {
    /// Makes the kernel ready on `device`. On a GPU its cubins come from the cache, or are compiled now; tiles are those
    /// that were measured ([`Tune::Cached`]), unless `PROXYATTN_TUNE` is `off`.
    ///
    /// # Errors
    /// As [`load_tuned`](Self::load_tuned), and [`Error::Environment`] for another value of that variable, too.
    pub fn load(device: &Device) -> Result<Self> {
        Self::load_tuned(device, Tune::from_env()?, &[])
    }

    /// [`load`](Self::load) with tiles as `tune` says, whatever the environment does. [`Tune::Now`] measures what
    /// `problems` lack, the others do not look at them; the CPU has no tiles to choose.
    ///
    /// # Errors
    /// [`Error::Spec`] if `K::SPEC` breaks a rule, [`Error::Shape`] if it names another element type than `K::Elem`;
    /// [`Error::Environment`] if a variable holds what means nothing ([`jit::env`](crate::jit::env));
    /// on a GPU also what [`Jit::cubin`](crate::jit::Jit::cubin) returns, [`Error::Unavailable`] for a kernel whose
    /// `arch` leaves the GPU out, and [`Error::CubinRefused`] if the driver refuses the cubin.
    pub fn load_tuned(device: &Device, tune: Tune, problems: &[Problem]) -> Result<Self> {
        let any = AnyAttention::ready(K::NAME, &K::SPEC, K::CANDIDATES, device, tune, problems)?;
        Ok(Self { any, kernel: PhantomData })
    }

    /// The family of kernels that runs; `None` on the CPU. On Hopper it is the portable one where the configuration leaves
    /// Hopper's out, or NVRTC is too old for it, of which a warning tells.
    pub fn arch(&self) -> Option<Arch> {
        self.any.arch()
    }

    /// Tokens below which a sparse configuration runs dense here, because selecting blocks would cost more than it saves;
    /// what [`short`](crate::short) says unless [`with_dense_below`](Self::with_dense_below) said otherwise. A
    /// chunk of queries counts as the whole context that has as many pairs of a query and a key.
    pub fn dense_below(&self) -> usize {
        self.any.dense_below()
    }

    /// The same kernel with another number of tokens below which it runs dense; 0 for never.
    pub fn with_dense_below(self, tokens: usize) -> Self {
        Self { any: self.any.with_dense_below(tokens), ..self }
    }

    /// Measures [`AttentionKernel::CANDIDATES`] on problems of these shapes, with random inputs, and stores what won
    /// beside the cubins. From the return on it is used, here and by every other kernel of this configuration and stream,
    /// and loading finds it. One problem of each [`Bucket`](crate::tune::Bucket) is enough; one that is shorter than
    /// [`dense_below`](Self::dense_below) has the tiles of dense attention measured.
    ///
    /// It takes seconds to minutes, memory for the inputs of each problem in turn, and the whole GPU: whatever else runs
    /// there spoils the times. No new measurement begins after `limit`. A candidate that cannot be compiled or launched, or
    /// whose output is not the default's, is part of the report.
    ///
    /// # Errors
    /// [`Error::Unavailable`] on the CPU, [`Error::Shape`] and [`Error::Overflow`] for problems that the kernel cannot
    /// run, [`Error::JitDenied`] where nothing may be compiled, [`Error::Cuda`].
    pub fn tune(
        &self,
        problems: &[Problem],
        limit: Duration,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<TuneReport> {
        self.any.tune(problems, limit, progress)
    }

    /// Puts what these problems run by records to the test again: the recorded tiles and the default ones, launched in
    /// turns on inputs as [`tune`](Self::tune) makes them. Units without a record, and those whose record names the default
    /// tiles, are not among the results. Seconds at most, and the whole GPU.
    ///
    /// # Errors
    /// [`Error::Unavailable`] on the CPU, [`Error::Shape`] and [`Error::Overflow`] for problems that the kernel cannot
    /// run, [`Error::Cuda`].
    pub fn remeasure(
        &self,
        problems: &[Problem],
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Vec<Remeasured>> {
        self.any.remeasure(problems, progress)
    }

    /// Which records the kernel runs by; none on the CPU.
    pub fn tuned(&self) -> Tuned {
        self.any.tuned()
    }

    /// The records that decide the tiles of a plan's kernels, those of the nearest buckets; none on the CPU, and for a plan
    /// that runs with the default tiles for want of records.
    pub fn choices(&self, plan: &Plan) -> Vec<Choice> {
        self.any.choices(plan)
    }

    /// Makes ready for these problems: every kernel that they launch has been launched once, on a short context of its
    /// own, and the workspace is as large as the largest wants it. The first request then compiles nothing and allocates
    /// no more than its output ([`prefill_into`](Self::prefill_into): nothing). On the CPU, problems are only looked at.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); on a GPU also [`Error::Overflow`] and [`Error::Cuda`].
    pub fn warmup(&self, problems: &[Problem]) -> Result<()> {
        self.any.warmup(problems)
    }

    /// Where the kernel runs.
    pub fn device(&self) -> &Device {
        &self.any.device
    }

    /// What the kernel would do for a shape: dense if it is shorter than [`dense_below`](Self::dense_below).
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Overflow`] for a shape that the kernel cannot run.
    pub fn plan(&self, problem: &Problem) -> Result<Plan> {
        self.any.plan(problem)
    }

    /// Attention of `q [batch, heads, q_len, D]` over `k` and `v` `[batch, kv_heads, kv_len, D]`.
    ///
    /// A context that is shorter than [`dense_below`](Self::dense_below) runs dense, which is exact and faster there.
    ///
    /// The output has the shape of `q`, in memory order `[batch, heads, q_len, D]`, and is where the kernel is. With
    /// `q_len < kv_len` the queries are the last tokens of the context. `q_len > kv_len` takes a kernel of
    /// `causal = false` (cross-attention): then no query stands at a key, and no block is kept as its diagonal. On a GPU
    /// the call returns when the work is in the device's stream.
    ///
    /// # What a GPU does not check
    /// On a GPU nobody looks at what the inputs hold. NaN or infinity in a row's query, keys or values comes out in that
    /// row, and may change which blocks other rows of its block visit. So may, silently, magnitudes that the CPU would
    /// refuse: `q·k`, before `scale`, has to stay in f32 for every pair, scaled scores below 1e28, and the values of a row
    /// below the largest f32 over the number of keys.
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that do not fit the kernel or each other, [`Error::Overflow`] for those that no kernel
    /// runs, [`Error::Layout`] for tensors that are not where the kernel is, or that it cannot read. On the CPU,
    /// [`Error::NotFinite`] for NaN or infinity in an input, and [`Error::ScoreRange`] or [`Error::ValueRange`] for
    /// magnitudes that could leave f32. Memory is asked for after all that: [`Error::Memory`] where there is none for the
    /// output or for what is between the stages. On a GPU, [`Error::Cuda`].
    pub fn prefill(
        &self,
        q: &impl AsView<K::Elem>,
        k: &impl AsView<K::Elem>,
        v: &impl AsView<K::Elem>,
    ) -> Result<Tensor<K::Elem>> {
        self.any.prefill(q, k, v)
    }

    /// [`prefill`](Self::prefill) into a buffer of the caller's, of any strides.
    ///
    /// A GPU checks no values; see [`prefill`](Self::prefill).
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill); nothing is written to `out` then.
    pub fn prefill_into(
        &self,
        q: &impl AsView<K::Elem>,
        k: &impl AsView<K::Elem>,
        v: &impl AsView<K::Elem>,
        out: ViewMut<'_, K::Elem>,
    ) -> Result<()> {
        self.any.prefill_into(q, k, v, out)
    }

    /// [`prefill`](Self::prefill), and what it did: the block lists and the time of each stage. `observer`
    /// hears of progress; `&()` does not listen. A GPU checks no values; see [`prefill`](Self::prefill).
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill).
    pub fn prefill_traced(
        &self,
        q: &impl AsView<K::Elem>,
        k: &impl AsView<K::Elem>,
        v: &impl AsView<K::Elem>,
        observer: &dyn Observer,
    ) -> Result<Trace<K::Elem>> {
        self.any.prefill_traced(q, k, v, observer)
    }

    /// [`prefill_traced`](Self::prefill_traced) into a buffer of the caller's, of any strides.
    ///
    /// # Errors
    /// As [`prefill_into`](Self::prefill_into).
    pub fn prefill_traced_into(
        &self,
        q: &impl AsView<K::Elem>,
        k: &impl AsView<K::Elem>,
        v: &impl AsView<K::Elem>,
        out: ViewMut<'_, K::Elem>,
        observer: &dyn Observer,
    ) -> Result<(Selection, StageTimes)> {
        self.any.prefill_traced_into(q, k, v, out, observer)
    }

    /// Bytes of device memory that [`launch_raw`](Self::launch_raw) needs for a plan; 0 on the CPU.
    pub fn workspace_bytes(&self, plan: &Plan) -> u64 {
        self.any.kernels.as_ref().map_or(0, |kernels| kernels.layout(plan).bytes())
    }

    /// Puts a plan's kernels into `stream`: no allocation, no synchronisation and no transfer, so that it can be
    /// captured in a CUDA graph. With a dynamic budget, some of them run on a stream of the kernel's own, between two
    /// points of `stream`. What the tensors hold is not checked; see [`prefill`](Self::prefill).
    ///
    /// # Safety
    /// For the plan's problem, every tensor and the workspace must be valid device memory of the kernel's context
    /// until the stream has run the kernels, with nothing else writing to them meanwhile; the stream must belong to
    /// that context.
    ///
    /// # Errors
    /// [`Error::Unavailable`] on the CPU; [`Error::Layout`] for addresses or strides that the kernels cannot read and
    /// for a workspace that is too small; [`Error::Overflow`] for a problem beyond the GPU's limits; [`Error::Cuda`].
    pub unsafe fn launch_raw(&self, plan: &Plan, args: &RawArgs, stream: CUstream) -> Result<()> {
        // SAFETY: all stages together find what they read.
        unsafe { self.launch_stages_raw(plan, args, stream, Stage::ALL) }
    }

    /// [`launch_raw`](Self::launch_raw) of some stages, in their usual order. The workspace has to hold what those that
    /// are left out would have written ([`workspace_layout`](Self::workspace_layout) says where); so with
    /// [`Stage::Attend`] alone an engine brings a selection of its own. That stage reads, all u32 and packed:
    ///
    /// - `lists` `[batch, groups, rows, blocks]`: the key blocks that a row of query blocks visits, each once. Every
    ///   head of the group visits a prefix.
    /// - `counts` `[batch, heads, rows]`: how long that prefix is for a head. With a flat budget all heads of a group
    ///   have the same.
    /// - `runs` `[batch, groups, rows]`, with a dynamic budget: the smallest count among the group's heads.
    /// - `tickets`, on Hopper: one number, 0 before each launch, which leaves something else there.
    ///
    /// With causal attention the first `runs` entries of a list (with a flat budget: the first `counts`) end with the
    /// blocks of the row's diagonal ([`Geometry::diagonal`](crate::Geometry::diagonal)), and no entry lies beyond it:
    /// only these blocks are masked, and they are known by their place. A [dense](Plan::is_dense) plan reads no lists
    /// and clears `tickets` itself. [`Plan::new`] gives the plan that selects however short the context is.
    ///
    /// # Safety
    /// As [`launch_raw`](Self::launch_raw), and the workspace holds what the stages that are left out would have
    /// written, with every listed block inside the keys.
    ///
    /// # Errors
    /// As [`launch_raw`](Self::launch_raw), and [`Error::Shape`] for some stages of a plan that is dense because its
    /// context is [short](crate::short): it would not follow the selection.
    pub unsafe fn launch_stages_raw(
        &self,
        plan: &Plan,
        args: &RawArgs,
        stream: CUstream,
        stages: &[Stage],
    ) -> Result<()> {
        let kernels = self.any.on_gpu("launch_raw")?;
        // SAFETY: the caller promises what `launch_raw` of the kernels asks for.
        unsafe { kernels.launch_raw(plan, args, stream, stages) }
    }

    /// The buffers in a plan's workspace, each with the bytes that it takes there; none on the CPU.
    pub fn workspace_layout(&self, plan: &Plan) -> Vec<(Scratch, Range<u64>)> {
        let kernels = self.any.kernels.as_ref();
        kernels.map_or_else(Vec::new, |kernels| kernels.layout(plan).buffers().collect())
    }
}

impl<K: AttentionKernel> Clone for Attention<K> {
    fn clone(&self) -> Self {
        Self { any: self.any.clone(), ..*self }
    }
}

impl<K: AttentionKernel> core::fmt::Debug for Attention<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Attention").field("kernel", &K::NAME).field("device", self.device()).finish()
    }
}

/// The three inputs of a prefill.
pub struct Inputs<'a, T> {
    pub(crate) q: View<'a, T>,
    pub(crate) k: View<'a, T>,
    pub(crate) v: View<'a, T>,
}

impl<T> Inputs<'_, T> {
    /// Refuses an output of another shape than that of the queries.
    pub(crate) fn check_output(&self, out: &ViewMut<'_, T>) -> Result<()> {
        if out.shape() == self.q.shape() {
            return Ok(());
        }
        Err(Error::Shape {
            arg: "out",
            expected: format!("the shape of q, {:?}", self.q.shape()),
            got: format!("{:?}", out.shape()),
        })
    }

    /// The problem that the shapes describe, if they describe one.
    pub(crate) fn problem(&self, head_dim: usize) -> Result<Problem> {
        let [batch, heads, q_len, _] = self.q.shape();
        let [_, kv_heads, kv_len, _] = self.k.shape();
        for (arg, view) in [("q", &self.q), ("k", &self.k), ("v", &self.v)] {
            if view.shape()[3] != head_dim {
                let expected = format!("head_dim {head_dim} as the kernel declares");
                return Err(Error::Shape { arg, expected, got: format!("shape {:?}", view.shape()) });
            }
        }
        if self.k.shape()[0] != batch {
            let expected = format!("the batch of q, {batch}");
            return Err(Error::Shape { arg: "k", expected, got: format!("shape {:?}", self.k.shape()) });
        }
        if self.v.shape() != self.k.shape() {
            let expected = format!("the shape of k, {:?}", self.k.shape());
            return Err(Error::Shape { arg: "v", expected, got: format!("shape {:?}", self.v.shape()) });
        }
        Ok(Problem { batch, heads, kv_heads, q_len, kv_len })
    }
}
