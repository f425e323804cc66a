//! The tiles that a tuner may choose between, compiled.

use super::{compile, complaints, configurations, program};
use crate::run::{Outcome, side_by_side};
use proxyattn_codegen::{Arch, cuda};
use proxyattn_runtime::jit::{Jit, Target};

/// Compiles every candidate of every configuration and prints its registers and spills. A tuner finds out by itself that
/// spilling is slow; what does not compile, or what the compiler had to serialise, is a fault of the model.
pub(super) fn run(nvrtc: &Jit, faults: &mut Vec<String>) -> Outcome {
    println!(
        "\n{:<17}{:<9}{:<9}{:>10}{:>8}  constants",
        "configuration", "target", "kernel", "registers", "spills"
    );
    for (name, spec) in &configurations() {
        for (arch, target) in [(Arch::Sm80, Target::SM_80), (Arch::Sm90a, Target::SM_90A)] {
            let module = cuda::emit(spec, arch);
            for unit in module.units.iter() {
                let candidates = cuda::candidates(spec, arch, unit.id);
                let cubins = side_by_side(&candidates, |constants| {
                    let program = constants.iter().fold(program(name, unit), |program, (name, value)| {
                        program.option(format!("-D{name}={value}"))
                    });
                    compile(nvrtc, &program, target)
                });
                for (constants, cubin) in candidates.iter().zip(cubins) {
                    let shown: Vec<_> =
                        constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    let shown = shown.join(" ");
                    let cubin = match cubin {
                        Ok(cubin) => cubin,
                        Err(error) => {
                            faults.push(format!("{name} for {target}, {} with {shown}: {error}", unit.id));
                            continue;
                        }
                    };
                    let serialised = complaints(&cubin).filter(|line| line.contains("(C75"));
                    faults.extend(serialised.map(|line| format!("{name} for {target}, {shown}: {line}")));
                    let tiles = module.tiles.with(constants).unwrap_or(module.tiles);
                    for kernel in cuda::retiled(spec, arch, unit.id, &tiles) {
                        let symbol = kernel.id.symbol();
                        let usage = cubin.kernel(&symbol);
                        let usage = usage.ok_or_else(|| format!("{name}: no {symbol} in the log"))?;
                        let spills = usage.spill_stores + usage.spill_loads;
                        if usage.registers * kernel.threads > 65_536 {
                            faults
                                .push(format!("{name} for {target}, {shown}: {} registers", usage.registers));
                        }
                        println!(
                            "{name:<17}{:<9}{:<9}{:>10}{spills:>8}  {shown}",
                            target.to_string(),
                            kernel.id,
                            usage.registers
                        );
                    }
                }
            }
        }
    }
    Ok(())
}
