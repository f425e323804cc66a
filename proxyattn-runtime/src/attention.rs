//! A loaded kernel, and how it is called.

mod lists;
mod raw;

use crate::cuda::CudaKernels;
use crate::dense_below;
use crate::env::Env;
use crate::inputs::Inputs;
use crate::layer::Layer;
use crate::tune::{Choice, Progress, Record, Remeasured, Source, Tune, TuneReport, Tuned};
use crate::{
    AsView, Device, Element, Error, LayerShares, Observer, Plan, Problem, Result, Selection, StageTimes,
    Tensor, Trace, ViewMut, cpu, cuda,
};
use core::marker::PhantomData;
use core::time::Duration;
use proxyattn_codegen::{Arch, Spec};
use std::sync::Arc;

/// What messages call a kernel that was loaded from a [`Spec`].
const UNNAMED: &str = "proxyattn";

/// A kernel that is ready to run on a device, on tensors of `T`. Cheap to clone, safe to share.
///
/// [`AttentionKernel::load`](crate::AttentionKernel::load) makes one of an annotated struct, and [`Attention::load`] of a
/// [`Spec`] that is known only when the program runs. A program that knows its configuration is better served by the
/// attribute, which checks it at compile time.
///
/// ```
/// use proxyattn::prelude::*;
/// use proxyattn::synthetic::Synthetic;
///
/// #[proxy_attention(head_dim = 64, heads = 8, kv_heads = 2)]
/// struct Layer;
///
/// let attention: Attention<bf16> = Layer::load(&Device::auto())?;
/// let inputs = Synthetic { tokens: 2048, head_dim: 64, ..Synthetic::DEFAULT }.generate()?;
/// let output = attention.prefill(&inputs.q, &inputs.k, &inputs.v)?;
/// assert_eq!(output.shape(), [1, 8, 2048, 64]);
/// # Ok::<(), proxyattn::Error>(())
/// ```
pub struct Attention<T> {
    name: &'static str,
    spec: Spec,
    device: Device,
    /// The kernels, on a GPU.
    kernels: Option<Arc<CudaKernels>>,
    dense_below: usize,
    /// What the budget asks of the layer.
    layer: Option<Arc<Layer>>,
    elem: PhantomData<fn() -> T>,
}

impl<T: Element> Attention<T> {
    /// Makes the kernel ready on `device`. On a GPU its cubins come from the cache, or are compiled now. Its tiles are
    /// those that were measured ([`Tune::Cached`]), unless `PROXYATTN_TUNE` is `off`.
    ///
    /// ```
    /// use proxyattn::codegen::{Budget, Spec};
    /// use proxyattn::prelude::*;
    ///
    /// // What a command line says, for example.
    /// let spec = Spec { head_dim: 64, budget: Budget::ratio(0.1), ..Spec::DEFAULT };
    /// let attention = Attention::<bf16>::load(&spec, &Device::auto())?;
    /// # assert_eq!(attention.spec().head_dim, 64);
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`load_tuned`](Self::load_tuned), and [`Error::Environment`] for any other value of that variable.
    pub fn load(spec: &Spec, device: &Device) -> Result<Self> {
        Self::load_tuned(spec, device, Tune::from_env()?, &[])
    }

    /// [`load`](Self::load) for one layer of a model. Configurations whose budget is `per_head(…)` ask for its weights, those of
    /// `spans(…)` for its spans; others do not look at them. All layers have the same kernels, which are compiled and loaded once.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`Error::Shape`] for another number of heads than the configuration declares.
    pub fn load_layer(spec: &Spec, device: &Device, layer: &LayerShares) -> Result<Self> {
        Self::load_layer_tuned(spec, device, Tune::from_env()?, &[], layer)
    }

    /// [`load`](Self::load) with tiles as `tune` says, whatever the environment says. [`Tune::Now`] measures `problems`
    /// that have no record, the others ignore them; the CPU has no tiles to choose.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a configuration that asks for its [layer](Self::load_layer);
    /// [`Error::Spec`] if `spec` breaks a rule, [`Error::Shape`] if it names another element type than `T`;
    /// [`Error::Environment`] if a [variable](crate::env) has a value without a meaning;
    /// on a GPU also what [`Jit::cubin`](crate::jit::Jit::cubin) returns, [`Error::Unavailable`] for a configuration
    /// whose `arch` leaves the GPU out, and [`Error::CubinRefused`] if the driver refuses the cubin.
    pub fn load_tuned(spec: &Spec, device: &Device, tune: Tune, problems: &[Problem]) -> Result<Self> {
        Self::named(UNNAMED, spec, device, tune, problems)
    }

    /// [`load_layer`](Self::load_layer) with tiles as `tune` says, as in [`load_tuned`](Self::load_tuned).
    ///
    /// # Errors
    /// As [`load_layer`](Self::load_layer) and [`load_tuned`](Self::load_tuned).
    pub fn load_layer_tuned(
        spec: &Spec,
        device: &Device,
        tune: Tune,
        problems: &[Problem],
        layer: &LayerShares,
    ) -> Result<Self> {
        Self::named_of_layer(UNNAMED, spec, device, tune, problems, Some(layer))
    }

    /// [`load_tuned`](Self::load_tuned) of a kernel that messages call `name`.
    pub(crate) fn named(
        name: &'static str,
        spec: &Spec,
        device: &Device,
        tune: Tune,
        problems: &[Problem],
    ) -> Result<Self> {
        Self::named_of_layer(name, spec, device, tune, problems, None)
    }

    /// The same for a layer.
    pub(crate) fn named_of_layer(
        name: &'static str,
        spec: &Spec,
        device: &Device,
        tune: Tune,
        problems: &[Problem],
        layer: Option<&LayerShares>,
    ) -> Result<Self> {
        Env::process().check_all_but_tune()?;
        let violations = spec.violations();
        if !violations.is_empty() {
            return Err(Error::Spec { kernel: name, violations });
        }
        if spec.dtype != T::DTYPE {
            return Err(Error::Shape {
                arg: "dtype",
                expected: format!("{} as the configuration of `{name}` says", spec.dtype),
                got: format!("an element type of {}", T::DTYPE),
            });
        }
        let gpu = match device {
            Device::Cpu => None,
            Device::Cuda(cuda) => Some(cuda),
        };
        let layer = Layer::of(name, spec, layer, gpu)?.map(Arc::new);
        let kernels = match device {
            Device::Cpu => None,
            Device::Cuda(cuda) => Some(CudaKernels::shared(name, spec, cuda, tune)?),
        };
        let dense_below = dense_below::tokens(spec, kernels.as_ref().map(|kernels| kernels.arch()));
        let device = device.clone();
        let loaded = Self { name, spec: *spec, device, kernels, dense_below, layer, elem: PhantomData };
        if let (Some(kernels), Tune::Now(limit)) = (&loaded.kernels, tune) {
            kernels.tuner(loaded.layer()).tune(&loaded.plans(problems)?, limit, true, &mut |_| ())?;
        }
        Ok(loaded)
    }

    /// What messages call the kernel: the name of the annotated struct.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The configuration.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Where the kernel runs.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The family of kernels that runs; `None` on the CPU. On Hopper it is the portable one where the configuration leaves
    /// Hopper's out, or where NVRTC is too old for it, which is a warning.
    pub fn arch(&self) -> Option<Arch> {
        self.kernels.as_ref().map(|kernels| kernels.arch())
    }

    /// Tokens below which a sparse configuration runs dense here, because selecting blocks would cost more than it saves:
    /// the number of [`dense_below`](crate::dense_below) unless [`with_dense_below`](Self::with_dense_below) set another.
    /// A chunk of queries counts as the whole context that has as many pairs of a query and a key.
    pub fn dense_below(&self) -> usize {
        self.dense_below
    }

    /// The same kernel with another number of tokens below which it runs dense; 0 for never.
    pub fn with_dense_below(self, tokens: usize) -> Self {
        Self { dense_below: tokens, ..self }
    }

    /// Measures the [candidates](proxyattn_codegen::cuda::candidates) on problems of these shapes, with random inputs, and
    /// stores the winners beside the cubins. From the return on they are used, here and by every other kernel of this
    /// configuration and stream, and loading finds them. One problem of each [`Bucket`](crate::tune::Bucket) is enough; for
    /// one that is shorter than [`dense_below`](Self::dense_below) the tiles of dense attention are measured.
    ///
    /// It takes seconds to minutes, memory for the inputs of one problem at a time, and the whole GPU: other work there
    /// distorts the times. No new measurement begins after `limit`. A candidate that cannot be compiled or launched, or
    /// whose output is not that of the default tiles, is part of the report.
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
        self.on_gpu("tune")?.tuner(self.layer()).tune(&self.plans(problems)?, limit, false, progress)
    }

    /// Measures recorded tiles again: for each of these problems, the tiles of its records and the default ones, launched
    /// alternately on inputs as [`tune`](Self::tune) makes them. The results leave out units without a record, and those
    /// whose record names the default tiles. Takes seconds at most, and the whole GPU.
    ///
    /// # Errors
    /// [`Error::Unavailable`] on the CPU, [`Error::Shape`] and [`Error::Overflow`] for problems that the kernel cannot
    /// run, [`Error::Cuda`].
    pub fn remeasure(
        &self,
        problems: &[Problem],
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Vec<Remeasured>> {
        self.on_gpu("remeasure")?.tuner(self.layer()).remeasure(&self.plans(problems)?, progress)
    }

    /// Which tuning records the kernel uses; none on the CPU.
    pub fn tuned(&self) -> Tuned {
        self.kernels.as_ref().map(|kernels| kernels.tuned().records()).unwrap_or_default()
    }

    /// The records that decide the tiles of a plan's kernels, those of the nearest buckets. None on the CPU, and for a plan
    /// whose kernels have no records and so the default tiles.
    pub fn choices(&self, plan: &Plan) -> Vec<Choice> {
        self.kernels.as_ref().map(|kernels| kernels.tuned().choices(plan)).unwrap_or_default()
    }

    /// The records that apply to this configuration on this machine, in full; a shipped one only where none was made here.
    /// None on the CPU.
    ///
    /// # Errors
    /// [`Error::Environment`] for a cache that is set up wrongly.
    pub fn records(&self) -> Result<Vec<(Record, Source)>> {
        self.kernels.as_ref().map_or_else(|| Ok(Vec::new()), |kernels| kernels.records())
    }

    /// Prepares for these problems: launches every kernel of theirs once, on a short context of its own, and reserves the
    /// largest workspace. The first request then compiles nothing and allocates only its output
    /// ([`prefill_into`](Self::prefill_into): nothing). On the CPU it only checks the problems.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); on a GPU also [`Error::Overflow`] and [`Error::Cuda`].
    pub fn warmup(&self, problems: &[Problem]) -> Result<()> {
        let plans = self.plans(problems)?;
        self.kernels.as_ref().map_or(Ok(()), |kernels| kernels.warmup(&plans, self.layer()))
    }

    /// What the kernel would do for a shape: dense if it is shorter than [`dense_below`](Self::dense_below).
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Overflow`] for a shape that the kernel cannot run.
    pub fn plan(&self, problem: &Problem) -> Result<Plan> {
        let plan = Plan::new(&self.spec, problem)?.dense_below(self.dense_below);
        self.layer().map_or(Ok(()), |layer| layer.check(problem.heads)).map(|()| plan)
    }

    /// What the budget asks of the layer.
    fn layer(&self) -> Option<&Layer> {
        self.layer.as_deref()
    }

    fn plans(&self, problems: &[Problem]) -> Result<Vec<Plan>> {
        problems.iter().map(|problem| self.plan(problem)).collect()
    }

    /// Attention of `q [batch, heads, q_len, D]` over `k` and `v` `[batch, kv_heads, kv_len, D]`.
    ///
    /// A context that is shorter than [`dense_below`](Self::dense_below) runs dense, which is exact and faster there.
    ///
    /// The output has the shape of `q`, in memory order `[batch, heads, q_len, D]`, on the kernel's device. With
    /// `q_len < kv_len` the queries are the last tokens of the context. `q_len > kv_len` takes a kernel of
    /// `causal = false` (cross-attention): then queries have no positions among the keys, and no block is kept as the
    /// diagonal. On a GPU the call returns when the work has been enqueued in the device's stream.
    ///
    /// ```
    /// use proxyattn::prelude::*;
    ///
    /// #[proxy_attention(head_dim = 64)]
    /// struct Layer;
    ///
    /// // Memory of one's own, [batch, tokens, heads, head_dim]: 32 new tokens at the end of a context of 100.
    /// let (q, kv) = (vec![bf16::ONE; 32 * 8 * 64], vec![bf16::ONE; 100 * 2 * 64]);
    /// let q = View::bshd(&q, [1, 32, 8, 64])?;
    /// let (k, v) = (View::bshd(&kv, [1, 100, 2, 64])?, View::bshd(&kv, [1, 100, 2, 64])?);
    /// let output = Layer::load(&Device::cpu())?.prefill(&q, &k, &v)?;
    /// assert_eq!(output.shape(), [1, 8, 32, 64]);
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # What a GPU does not check
    /// On a GPU the values of the inputs are not checked. NaN or infinity in a row's query, keys or values comes out in that
    /// row, and may change which blocks other rows of its block visit. The same holds, without an error, for magnitudes that
    /// the CPU refuses: `q·k`, before `scale`, has to fit f32 for every pair, scaled scores have to be below 1e28, and the
    /// values of a row below the largest f32 divided by the number of keys.
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that do not fit the kernel or each other, [`Error::Overflow`] for those that no kernel
    /// runs, [`Error::Layout`] for tensors on another device than the kernel, or that it cannot read. On the CPU,
    /// [`Error::NotFinite`] for NaN or infinity in an input, and [`Error::ScoreRange`] or [`Error::ValueRange`] for
    /// magnitudes that could overflow f32. Memory is allocated after these checks: [`Error::Memory`] where there is none for
    /// the output or for the buffers between the stages. On a GPU, [`Error::Cuda`].
    pub fn prefill(&self, q: &impl AsView<T>, k: &impl AsView<T>, v: &impl AsView<T>) -> Result<Tensor<T>> {
        let inputs = Inputs::new(q, k, v).of_layer(self.layer());
        let plan = self.plan_for(&inputs)?;
        let checked = self.check(&plan, &inputs)?;
        let mut output = Tensor::uninit(inputs.q.shape(), &self.device)?;
        checked.run(&mut output.view_mut())?;
        Ok(output)
    }

    /// [`prefill`](Self::prefill) into a buffer of the caller's, of any strides.
    ///
    /// ```
    /// use proxyattn::prelude::*;
    /// # use proxyattn::synthetic::Synthetic;
    ///
    /// #[proxy_attention(head_dim = 64)]
    /// struct Layer;
    ///
    /// # let inputs = Synthetic { tokens: 100, head_dim: 64, ..Synthetic::DEFAULT }.generate::<bf16>()?;
    /// # let (q, k, v) = (inputs.q, inputs.k, inputs.v);
    /// // q is [1, 8, 100, 64]; its output is wanted with the heads of a token side by side.
    /// let mut output = vec![bf16::ZERO; 100 * 8 * 64];
    /// let attention = Layer::load(&Device::cpu())?;
    /// attention.prefill_into(&q, &k, &v, ViewMut::bshd(&mut output, [1, 100, 8, 64])?)?;
    /// assert!(output.iter().all(|element| element.is_finite()));
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// A GPU checks no values; see [`prefill`](Self::prefill).
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill); then nothing is written to `out`.
    pub fn prefill_into(
        &self,
        q: &impl AsView<T>,
        k: &impl AsView<T>,
        v: &impl AsView<T>,
        mut out: ViewMut<'_, T>,
    ) -> Result<()> {
        let inputs = Inputs::new(q, k, v).of_layer(self.layer());
        let plan = self.plan_for(&inputs)?;
        inputs.check_output(&out)?;
        self.check(&plan, &inputs)?.run(&mut out)
    }

    /// [`prefill`](Self::prefill), with the block lists and the time of each stage. `observer` is called as the work
    /// proceeds; `&()` ignores that. A GPU checks no values; see [`prefill`](Self::prefill).
    ///
    /// ```
    /// use proxyattn::prelude::*;
    /// use proxyattn::synthetic::Synthetic;
    ///
    /// #[proxy_attention(head_dim = 64)]
    /// struct Layer;
    ///
    /// let inputs = Synthetic { tokens: 2048, head_dim: 64, ..Synthetic::DEFAULT }.generate()?;
    /// let trace = Layer::load(&Device::cpu())?.prefill_traced(&inputs.q, &inputs.k, &inputs.v, &())?;
    /// let (density, ms) = (trace.selection.density(), 1e3 * trace.times.total().as_secs_f64());
    /// println!("{:.0}% of the blocks, {ms:.0} ms", 100.0 * density);
    /// println!("{}", trace.selection.map(0, 5)); // the blocks of head 5
    /// assert!(density < 0.6);
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill).
    pub fn prefill_traced(
        &self,
        q: &impl AsView<T>,
        k: &impl AsView<T>,
        v: &impl AsView<T>,
        observer: &dyn Observer,
    ) -> Result<Trace<T>> {
        let inputs = Inputs::new(q, k, v).of_layer(self.layer());
        let plan = self.plan_for(&inputs)?;
        let checked = self.check(&plan, &inputs)?;
        let mut output = Tensor::uninit(inputs.q.shape(), &self.device)?;
        let (selection, times) = checked.run_traced(&mut output.view_mut(), observer)?;
        Ok(Trace { output, plan, selection, times })
    }

    /// [`prefill_traced`](Self::prefill_traced) into a buffer of the caller's, of any strides.
    ///
    /// # Errors
    /// As [`prefill_into`](Self::prefill_into).
    pub fn prefill_traced_into(
        &self,
        q: &impl AsView<T>,
        k: &impl AsView<T>,
        v: &impl AsView<T>,
        mut out: ViewMut<'_, T>,
        observer: &dyn Observer,
    ) -> Result<(Selection, StageTimes)> {
        let inputs = Inputs::new(q, k, v).of_layer(self.layer());
        let plan = self.plan_for(&inputs)?;
        inputs.check_output(&out)?;
        self.check(&plan, &inputs)?.run_traced(&mut out, observer)
    }

    fn plan_for(&self, inputs: &Inputs<'_, T>) -> Result<Plan> {
        self.plan(&inputs.problem(&self.spec)?)
    }

    /// Refuses what the backend cannot run, before memory is allocated.
    fn check<'a>(&'a self, plan: &'a Plan, inputs: &'a Inputs<'a, T>) -> Result<Checked<'a, T>> {
        Ok(match &self.kernels {
            None => Checked::Cpu(cpu::check(plan, inputs)?),
            Some(kernels) => Checked::Cuda(cuda::check(kernels, plan, inputs)?),
        })
    }

    /// The kernels, for what the CPU cannot do.
    fn on_gpu(&self, what: &str) -> Result<&CudaKernels> {
        self.kernels.as_deref().ok_or_else(|| Error::Unavailable {
            what: what.into(),
            why: "the kernel was loaded on the CPU".into(),
            help: "load it on Device::cuda(ordinal)".into(),
        })
    }
}

/// A call whose arguments a backend has accepted.
#[expect(clippy::large_enum_variant, reason = "one on the stack of each call")]
enum Checked<'a, T> {
    Cpu(cpu::Checked<'a, T>),
    Cuda(cuda::Checked<'a>),
}

impl<T: Element> Checked<'_, T> {
    fn run(self, out: &mut ViewMut<'_, T>) -> Result<()> {
        match self {
            Self::Cpu(checked) => cpu::prefill(&checked, out, &()).map(drop),
            Self::Cuda(checked) => cuda::prefill(checked, out),
        }
    }

    fn run_traced(
        self,
        out: &mut ViewMut<'_, T>,
        observer: &dyn Observer,
    ) -> Result<(Selection, StageTimes)> {
        match self {
            Self::Cpu(checked) => cpu::prefill(&checked, out, observer),
            Self::Cuda(checked) => cuda::prefill_traced(checked, out, observer),
        }
    }
}

impl<T> Clone for Attention<T> {
    fn clone(&self) -> Self {
        let (device, kernels, layer) = (self.device.clone(), self.kernels.clone(), self.layer.clone());
        Self { device, kernels, layer, ..*self }
    }
}

impl<T> core::fmt::Debug for Attention<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Attention").field("kernel", &self.name).field("device", &self.device).finish()
    }
}
