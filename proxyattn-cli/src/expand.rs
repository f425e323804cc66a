//! `proxyattn expand`: the CUDA source.

use crate::args::ExpandArgs;
use crate::configuration;
use crate::failure::{Failure, Outcome};
use crate::highlight;
use proxyattn_codegen::cuda::emit;
use proxyattn_codegen::{Arch, Spec};
use proxyattn_runtime::jit::Target;

pub(crate) fn run(args: &ExpandArgs) -> Outcome {
    let spec = configuration::parse(&args.spec.configuration)?;
    let arch = target(&spec, args.arch)?.arch();
    let module = emit(&spec, arch);
    let text = match args.unit {
        None => module.source(),
        Some(id) => match module.unit(id) {
            Some(unit) => unit.source(),
            None => {
                let units: Vec<_> = module.units.iter().map(|unit| unit.id.name()).collect();
                return Err(Failure::usage(format!(
                    "--unit: expected one of the configuration's units for {arch}, which are {}, got `{id}`",
                    units.join(", ")
                )));
            }
        },
    };
    Ok((highlight::cuda(text.trim_end()) + "\n").into())
}

/// The requested GPU, or the oldest of the newest family that the configuration declares.
pub(crate) fn target(spec: &Spec, asked: Option<Target>) -> Outcome<Target> {
    let newest = spec.arch.iter().last().unwrap_or(Arch::Sm80);
    let target = asked.unwrap_or(newest.into());
    let arch = target.arch();
    if spec.arch.contains(arch) {
        return Ok(target);
    }
    let code = if target == arch.into() { String::new() } else { format!(", which runs the code of {arch}") };
    Err(Failure::usage(format!(
        "--arch: the configuration is for arch({}) alone, got {target}{code}; add {arch} to `arch`, or leave `arch` out",
        spec.arch
    )))
}
