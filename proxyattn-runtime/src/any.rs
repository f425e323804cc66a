//! A loaded kernel whose configuration is a value: for tools that read it from a person.

use crate::attention::Inputs;
use crate::cuda::{self, Kernels};
use crate::jit::Env;
use crate::tune::{Choice, Progress, Record, Remeasured, Source, Tune, TuneReport, Tuned, candidates_of};
use crate::{
    AsView, Device, Element, Error, Observer, Plan, Problem, Result, Selection, StageTimes, Tensor, Trace,
    ViewMut, cpu, short,
};
use core::marker::PhantomData;
use core::time::Duration;
use proxyattn_codegen::cuda::Candidates;
use proxyattn_codegen::{Arch, Spec};
use std::sync::Arc;

/// What messages call a kernel that no type stands for.
const NAME: &str = "proxyattn";

/// As [`Attention`](crate::Attention), of a [`Spec`] that is known only when the program runs. A program that knows its
/// configuration is better served by the attribute, which checks it while the program is compiled.
pub struct AnyAttention<T> {
    pub(crate) device: Device,
    spec: Spec,
    /// The kernels, on a GPU.
    pub(crate) kernels: Option<Arc<Kernels>>,
    dense_below: usize,
    elem: PhantomData<fn() -> T>,
}

impl<T: Element> AnyAttention<T> {
    /// Makes the kernel ready on `device`, with the tiles that were measured.
    ///
    /// # Errors
    /// As [`Attention::load`](crate::Attention::load).
    pub fn load(spec: &Spec, device: &Device) -> Result<Self> {
        Self::load_tuned(spec, device, Tune::from_env()?, &[])
    }

    /// [`load`](Self::load) with tiles as `tune` says. The candidates are those of the attribute ([`candidates_of`]), so
    /// that records of a configuration are the same whoever made them.
    ///
    /// # Errors
    /// As [`Attention::load_tuned`](crate::Attention::load_tuned).
    pub fn load_tuned(spec: &Spec, device: &Device, tune: Tune, problems: &[Problem]) -> Result<Self> {
        let candidates = match device {
            Device::Cuda(_) if spec.is_valid() => candidates_of(spec),
            _ => &[], // the CPU has no tiles to choose
        };
        Self::ready(NAME, spec, candidates, device, tune, problems)
    }

    /// What [`load_tuned`](Self::load_tuned) and that of a kernel with a type of its own come to: checked, loaded, and tuned
    /// if that is asked for.
    pub(crate) fn ready(
        name: &'static str,
        spec: &Spec,
        candidates: &'static [Candidates],
        device: &Device,
        tune: Tune,
        problems: &[Problem],
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
        let kernels = match device {
            Device::Cpu => None,
            Device::Cuda(cuda) => Some(Kernels::shared(name, spec, candidates, cuda, tune)?),
        };
        let dense_below = short::dense_below(spec, kernels.as_ref().map(|kernels| kernels.arch()));
        let ready = Self { device: device.clone(), spec: *spec, kernels, dense_below, elem: PhantomData };
        if let (Some(kernels), Tune::Now(limit)) = (&ready.kernels, tune) {
            kernels.tune(&ready.plans(problems)?, limit, true, &mut |_| ())?;
        }
        Ok(ready)
    }

    /// As [`Attention::arch`](crate::Attention::arch).
    pub fn arch(&self) -> Option<Arch> {
        self.kernels.as_ref().map(|kernels| kernels.arch())
    }

    /// As [`Attention::dense_below`](crate::Attention::dense_below).
    pub fn dense_below(&self) -> usize {
        self.dense_below
    }

    /// As [`Attention::with_dense_below`](crate::Attention::with_dense_below).
    pub fn with_dense_below(self, tokens: usize) -> Self {
        Self { dense_below: tokens, ..self }
    }

    /// As [`Attention::tune`](crate::Attention::tune).
    ///
    /// # Errors
    /// The same.
    pub fn tune(
        &self,
        problems: &[Problem],
        limit: Duration,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<TuneReport> {
        self.on_gpu("tune")?.tune(&self.plans(problems)?, limit, false, progress)
    }

    /// As [`Attention::remeasure`](crate::Attention::remeasure).
    ///
    /// # Errors
    /// The same.
    pub fn remeasure(
        &self,
        problems: &[Problem],
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Vec<Remeasured>> {
        self.on_gpu("remeasure")?.remeasure(&self.plans(problems)?, progress)
    }

    /// Which records the kernel runs by; none on the CPU.
    pub fn tuned(&self) -> Tuned {
        self.kernels.as_ref().map(|kernels| kernels.told()).unwrap_or_default()
    }

    /// As [`Attention::choices`](crate::Attention::choices).
    pub fn choices(&self, plan: &Plan) -> Vec<Choice> {
        self.kernels.as_ref().map(|kernels| kernels.choices_of(plan)).unwrap_or_default()
    }

    /// The records in force for this configuration on this machine, whole; a shipped one only where none was made here.
    /// None on the CPU.
    ///
    /// # Errors
    /// [`Error::Environment`](crate::Error::Environment) for a cache that is set up wrongly.
    pub fn records(&self) -> Result<Vec<(Record, Source)>> {
        self.kernels.as_ref().map_or_else(|| Ok(Vec::new()), |kernels| kernels.in_force())
    }

    /// As [`Attention::warmup`](crate::Attention::warmup).
    ///
    /// # Errors
    /// The same.
    pub fn warmup(&self, problems: &[Problem]) -> Result<()> {
        let plans = self.plans(problems)?;
        self.kernels.as_ref().map_or(Ok(()), |kernels| kernels.warmup(&plans))
    }

    /// As [`Attention::plan`](crate::Attention::plan).
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan(&self, problem: &Problem) -> Result<Plan> {
        Ok(Plan::new(&self.spec, problem)?.dense_below(self.dense_below))
    }

    fn plans(&self, problems: &[Problem]) -> Result<Vec<Plan>> {
        problems.iter().map(|problem| self.plan(problem)).collect()
    }

    /// As [`Attention::prefill`](crate::Attention::prefill).
    ///
    /// # Errors
    /// The same.
    pub fn prefill(&self, q: &impl AsView<T>, k: &impl AsView<T>, v: &impl AsView<T>) -> Result<Tensor<T>> {
        let inputs = Inputs { q: q.as_view(), k: k.as_view(), v: v.as_view() };
        let plan = self.plan_for(&inputs)?;
        let (output, ()) = match &self.kernels {
            None => {
                let checked = cpu::check(&plan, &inputs)?;
                self.output(&inputs, |mut out| cpu::prefill(&checked, &mut out, &()).map(drop))
            }
            Some(kernels) => {
                cuda::check(kernels, &plan, &inputs)?;
                self.output(&inputs, |mut out| cuda::prefill(kernels, &plan, &inputs, &mut out))
            }
        }?;
        Ok(output)
    }

    /// Makes an output for inputs that were looked at, and fills it.
    fn output<R>(
        &self,
        inputs: &Inputs<'_, T>,
        fill: impl FnOnce(ViewMut<'_, T>) -> Result<R>,
    ) -> Result<(Tensor<T>, R)> {
        let mut output = Tensor::uninit(inputs.q.shape(), &self.device)?;
        let filled = fill(output.view_mut())?;
        Ok((output, filled))
    }

    /// As [`Attention::prefill_into`](crate::Attention::prefill_into).
    ///
    /// # Errors
    /// As [`Attention::prefill`](crate::Attention::prefill).
    pub fn prefill_into(
        &self,
        q: &impl AsView<T>,
        k: &impl AsView<T>,
        v: &impl AsView<T>,
        mut out: ViewMut<'_, T>,
    ) -> Result<()> {
        let inputs = Inputs { q: q.as_view(), k: k.as_view(), v: v.as_view() };
        let plan = self.plan_for(&inputs)?;
        inputs.check_output(&out)?;
        match &self.kernels {
            None => cpu::prefill(&cpu::check(&plan, &inputs)?, &mut out, &()).map(drop),
            Some(kernels) => cuda::prefill(kernels, &plan, &inputs, &mut out),
        }
    }

    /// As [`Attention::prefill_traced`](crate::Attention::prefill_traced).
    ///
    /// # Errors
    /// As [`Attention::prefill`](crate::Attention::prefill).
    pub fn prefill_traced(
        &self,
        q: &impl AsView<T>,
        k: &impl AsView<T>,
        v: &impl AsView<T>,
        observer: &dyn Observer,
    ) -> Result<Trace<T>> {
        let inputs = Inputs { q: q.as_view(), k: k.as_view(), v: v.as_view() };
        let plan = self.plan_for(&inputs)?;
        let (output, (selection, times)) = match &self.kernels {
            None => {
                let checked = cpu::check(&plan, &inputs)?;
                self.output(&inputs, |mut out| cpu::prefill(&checked, &mut out, observer))
            }
            Some(kernels) => {
                cuda::check(kernels, &plan, &inputs)?;
                self.output(&inputs, |mut out| {
                    cuda::prefill_traced(kernels, &plan, &inputs, &mut out, observer)
                })
            }
        }?;
        Ok(Trace { output, plan, selection, times })
    }

    /// As [`Attention::prefill_traced_into`](crate::Attention::prefill_traced_into).
    ///
    /// # Errors
    /// As [`Attention::prefill`](crate::Attention::prefill).
    pub fn prefill_traced_into(
        &self,
        q: &impl AsView<T>,
        k: &impl AsView<T>,
        v: &impl AsView<T>,
        mut out: ViewMut<'_, T>,
        observer: &dyn Observer,
    ) -> Result<(Selection, StageTimes)> {
        let inputs = Inputs { q: q.as_view(), k: k.as_view(), v: v.as_view() };
        let plan = self.plan_for(&inputs)?;
        inputs.check_output(&out)?;
        match &self.kernels {
            None => cpu::prefill(&cpu::check(&plan, &inputs)?, &mut out, observer),
            Some(kernels) => cuda::prefill_traced(kernels, &plan, &inputs, &mut out, observer),
        }
    }

    /// The kernels, for what the CPU cannot do.
    pub(crate) fn on_gpu(&self, what: &str) -> Result<&Kernels> {
        self.kernels.as_deref().ok_or_else(|| Error::Unavailable {
            what: what.into(),
            why: "the kernel was loaded on the CPU".into(),
            help: "load it on Device::cuda(ordinal)".into(),
        })
    }

    fn plan_for(&self, inputs: &Inputs<'_, T>) -> Result<Plan> {
        self.plan(&inputs.problem(self.spec.head_dim as usize)?)
    }
}

impl<T> Clone for AnyAttention<T> {
    fn clone(&self) -> Self {
        Self { device: self.device.clone(), kernels: self.kernels.clone(), ..*self }
    }
}
