//! `proxyattn expand`: the CUDA source.

use crate::args::ExpandArgs;
use crate::attribute;
use crate::failure::{Failure, Outcome};
use crate::highlight;
use proxyattn_codegen::cuda::{UnitId, emit};
use proxyattn_codegen::{Arch, Spec};

pub(crate) fn run(args: &ExpandArgs) -> Outcome {
    let spec = attribute::parse(&args.attribute)?;
    let module = emit(&spec, family(&spec, args.arch)?);
    let text = match &args.unit {
        None => module.source(),
        Some(name) => match UnitId::named(name).and_then(|unit| module.unit(unit)) {
            Some(unit) => unit.source(),
            None => {
                let units: Vec<_> = module.units.iter().map(|unit| unit.id.name()).collect();
                return Err(Failure::usage(format!(
                    "--unit: expected one of {}, got `{name}`; leave it out to print all of them",
                    units.join(", ")
                )));
            }
        },
    };
    Ok((highlight::cuda(text.trim_end()) + "\n").into())
}

/// The requested family, or the newest one that the configuration declares.
pub(crate) fn family(spec: &Spec, asked: Option<Arch>) -> Outcome<Arch> {
    let newest = spec.arch.iter().last().unwrap_or(Arch::Sm80);
    let arch = asked.unwrap_or(newest);
    if spec.arch.contains(arch) {
        return Ok(arch);
    }
    Err(Failure::usage(format!(
        "--arch: expected one of the configuration's architectures, arch({}), got {arch}; add {arch} to `arch`, or leave `arch` out",
        spec.arch
    )))
}
