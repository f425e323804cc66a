//! Compiles the kernels of every configuration for every architecture, and says what they take of a GPU.

mod candidates;
mod configurations;
mod sass;
mod wheels;

use crate::run::Outcome;
use configurations::CONFIGURATIONS;
use proxyattn_codegen::{Arch, cuda};
use proxyattn_runtime::jit::{Compiler, Cubin, Env, Nvrtc, Program, Target};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What the kernels of a family are compiled for: the first and the last architecture that it has to serve, Hopper
/// among them, since it is where the portable family is measured.
const TARGETS: &[(Arch, Target)] =
    &[(Arch::Sm80, Target::SM_80), (Arch::Sm90a, Target::SM_90A), (Arch::Sm80, Target::new(12, 0))];

/// Prints registers, spills, shared memory and code size of every kernel. With `--check`, whatever the compiler had to
/// give up fails: an advisory, a warning, a spill, a kernel that does not fit a multiprocessor, a matrix product without
/// tensor cores. The newest compiler must take the same text.
pub(crate) fn run(options: &[String]) -> Outcome {
    let given = |name: &str| options.iter().any(|option| option == name);
    let (check, candidates) = (given("--check"), given("--candidates"));
    if options.len() != usize::from(check) + usize::from(candidates) {
        let got = options.join(" ");
        return Err(format!("`kernels`: expected --check, --candidates, both or nothing, got {got}"));
    }
    let nvrtc = open(&wheels::nvrtc(false)?)?;
    let nvdisasm = wheels::nvdisasm()?;
    println!("{} ({})\n", nvrtc.library().display(), wheels::NVRTC);
    println!(
        "{:<17}{:<9}{:<18}{:>10}{:>8}{:>19}{:>10}{:>7}",
        "configuration", "target", "kernel", "registers", "spills", "shared bytes", "code", "MMA"
    );
    let mut faults = Vec::new();
    for (name, spec) in CONFIGURATIONS {
        for &(arch, target) in TARGETS {
            let module = cuda::emit(spec, arch);
            let mut fault = |what: String| faults.push(format!("{name} for {target}: {what}"));
            let mut units = HashMap::new();
            for unit in &module.units {
                let program = Program::new(format!("{name}.{}.cu", unit.id), unit.source());
                let cubin = compile(&nvrtc, &program, target)?;
                let code = sass::functions(&nvdisasm, &cubin)?;
                complaints(&cubin).for_each(|line| fault(line.to_owned()));
                units.insert(unit.id, (cubin, code));
            }
            for kernel in &module.kernels {
                let (cubin, code) = &units[&kernel.unit];
                let symbol = kernel.id.symbol();
                let usage = cubin.kernel(&symbol).ok_or_else(|| format!("{name}: no {symbol} in the log"))?;
                let function = code.get(symbol.as_str()).copied().unwrap_or_default();
                let spills = usage.spill_stores + usage.spill_loads;
                println!(
                    "{name:<17}{:<9}{:<18}{:>10}{spills:>8}{:>19}{:>10}{:>7}",
                    target.to_string(),
                    kernel.id,
                    usage.registers,
                    kernel.shared.to_string(),
                    function.bytes,
                    match kernel.arch {
                        Arch::Sm80 => function.hmma,
                        Arch::Sm90a => function.hgmma,
                    }
                );
                if spills > 0 {
                    fault(format!("{} spills {spills} bytes", kernel.id));
                }
                if usage.registers * kernel.threads > 65_536 {
                    fault(format!(
                        "{}: {} registers for {} threads",
                        kernel.id, usage.registers, kernel.threads
                    ));
                }
                if kernel.id.multiplies() {
                    match kernel.arch {
                        Arch::Sm80 if function.hmma == 0 => {
                            fault(format!("{}: no tensor-core instruction", kernel.id));
                        }
                        Arch::Sm90a if function.hgmma == 0 || function.utmaldg == 0 => {
                            fault(format!("{}: no warpgroup product, or no tensor copy", kernel.id));
                        }
                        Arch::Sm80 | Arch::Sm90a => {}
                    }
                }
            }
        }
    }
    if candidates {
        candidates::run(&nvrtc, &mut faults)?;
    }
    if check {
        newest(&mut faults)?;
    }
    match (check, faults.is_empty()) {
        (_, true) => {
            println!("\nNothing to complain about.");
            Ok(())
        }
        (false, false) => {
            println!("\n{}", faults.join("\n"));
            Ok(())
        }
        (true, false) => Err(format!("kernels fall short:\n  {}", faults.join("\n  "))),
    }
}

/// The newest NVRTC compiles every text; what its optimiser makes of it is not looked at.
fn newest(faults: &mut Vec<String>) -> Outcome {
    let nvrtc = open(&wheels::nvrtc(true)?)?;
    for (name, spec) in CONFIGURATIONS {
        for unit in cuda::emit(spec, Arch::Sm90a).units {
            let program = Program::new(format!("{name}.{}.cu", unit.id), unit.source());
            if let Err(error) = nvrtc.compile(&program, Target::SM_90A) {
                faults.push(format!("{name} with the newest NVRTC: {error}"));
            }
        }
    }
    let (major, minor) = nvrtc.version();
    println!("\nNVRTC {major}.{minor}, the newest, took every text.");
    Ok(())
}

/// The directory of the NVRTC that cubins are held to; fetched where it is not there yet.
pub(crate) fn nvrtc() -> Outcome<PathBuf> {
    wheels::nvrtc(false)
}

fn open(library: &Path) -> Outcome<Nvrtc> {
    Nvrtc::open(Some(library), &Env::process()).map_err(|error| error.to_string())
}

fn compile(nvrtc: &Nvrtc, program: &Program, target: Target) -> Outcome<Cubin> {
    nvrtc.compile(program, target).map_err(|error| error.to_string())
}

/// Lines of the log in which the compiler warns or gives advice: `(C75…)` is code that it had to serialise.
fn complaints(cubin: &Cubin) -> impl Iterator<Item = &str> {
    cubin.log().lines().filter(|line| line.contains("warning") || line.contains("(C75"))
}
