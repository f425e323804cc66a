//! A loaded kernel whose configuration is a value: for tools that read it from a person.

use crate::attention::Inputs;
use crate::cuda::{self, Kernels};
use crate::tune::Tune;
use crate::{AsView, Device, Element, Error, Observer, Plan, Problem, Result, Tensor, Trace, ViewMut, cpu};
use core::marker::PhantomData;
use proxyattn_codegen::Spec;
use std::sync::Arc;

/// What messages call a kernel that no type stands for.
const NAME: &str = "proxyattn";

/// As [`Attention`](crate::Attention), of a [`Spec`] that is known only when the program runs. A program that knows its
/// configuration is better served by the attribute, which checks it while the program is compiled.
pub struct AnyAttention<T> {
    device: Device,
    spec: Spec,
    kernels: Option<Arc<Kernels>>,
    elem: PhantomData<fn() -> T>,
}

impl<T: Element> AnyAttention<T> {
    /// Makes the kernel ready on `device`.
    ///
    /// # Errors
    /// As [`Attention::load`](crate::Attention::load).
    pub fn load(spec: &Spec, device: &Device) -> Result<Self> {
        let violations = spec.violations();
        if !violations.is_empty() {
            return Err(Error::Spec { kernel: NAME, violations });
        }
        if spec.dtype != T::DTYPE {
            return Err(Error::Shape {
                arg: "dtype",
                expected: format!("{} as the configuration says", spec.dtype),
                got: format!("an element type of {}", T::DTYPE),
            });
        }
        let kernels = match device {
            Device::Cpu => None,
            Device::Cuda(cuda) => Some(Kernels::shared(NAME, spec, &[], cuda, Tune::Off)?),
        };
        Ok(Self { device: device.clone(), spec: *spec, kernels, elem: PhantomData })
    }

    /// What the kernel would do for a shape.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan(&self, problem: &Problem) -> Result<Plan> {
        Plan::new(&self.spec, problem)
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
        let plan = Plan::new(&self.spec, &inputs.problem(self.spec.head_dim as usize)?)?;
        inputs.check_output(&out)?;
        match &self.kernels {
            None => cpu::prefill(&plan, &inputs, &mut out, &()).map(drop),
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
        let plan = Plan::new(&self.spec, &inputs.problem(self.spec.head_dim as usize)?)?;
        let mut output = Tensor::uninit(inputs.q.shape(), &self.device)?;
        let out = &mut output.view_mut();
        let (selection, times) = match &self.kernels {
            None => cpu::prefill(&plan, &inputs, out, observer)?,
            Some(kernels) => cuda::prefill_traced(kernels, &plan, &inputs, out, observer)?,
        };
        Ok(Trace { output, selection, times })
    }
}
