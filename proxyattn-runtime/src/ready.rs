//! The kernels of a configuration, made ready: what [`Attention`](crate::Attention) and
//! [`AnyAttention`](crate::AnyAttention) load.

use crate::cuda::Kernels;
use crate::tune::Tune;
use crate::{Device, Element, Error, Plan, Problem, Result, short};
use proxyattn_codegen::Spec;
use proxyattn_codegen::cuda::Candidates;
use std::sync::Arc;

/// The kernels of a configuration on a GPU, checked, and tuned if that is asked for; none on the CPU.
pub(crate) fn ready<T: Element>(
    name: &'static str,
    spec: &Spec,
    candidates: &'static [Candidates],
    device: &Device,
    tune: Tune,
    problems: &[Problem],
) -> Result<Option<Arc<Kernels>>> {
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
    let Device::Cuda(cuda) = device else { return Ok(None) };
    let kernels = Kernels::shared(name, spec, candidates, cuda, tune)?;
    if let Tune::Now(limit) = tune {
        let below = dense_below(spec, Some(&kernels));
        let plan = |problem| Plan::new(spec, problem).map(|plan| plan.dense_below(below));
        let plans: Vec<_> = problems.iter().map(plan).collect::<Result<_>>()?;
        kernels.tune(&plans, limit, true, &mut |_| ())?;
    }
    Ok(Some(kernels))
}

/// Tokens below which a configuration runs dense with these kernels, or on the CPU if there are none.
pub(crate) fn dense_below(spec: &Spec, kernels: Option<&Arc<Kernels>>) -> usize {
    short::dense_below(spec, kernels.map(|kernels| kernels.arch()))
}

/// The kernels, for what the CPU cannot do.
pub(crate) fn on_gpu<'a>(kernels: &'a Option<Arc<Kernels>>, what: &str) -> Result<&'a Kernels> {
    kernels.as_deref().ok_or_else(|| Error::Unavailable {
        what: what.into(),
        why: "the kernel was loaded on the CPU".into(),
        help: "load it on Device::cuda(ordinal)".into(),
    })
}
