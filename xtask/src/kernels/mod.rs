//! Compiles the kernels of every configuration for every architecture, and says what they take of a GPU.

mod candidates;
mod configurations;
mod sass;
mod wheels;

use crate::run::{Outcome, side_by_side, target};
use configurations::configurations;
use proxyattn_codegen::Arch;
use proxyattn_codegen::cuda::{self, Module, Unit};
use proxyattn_runtime::jit::{Cubin, Env, Jit, JitOptions, Nvrtc, Program, Target};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the kernels of a family are compiled for: the first and the last architecture that it has to serve, Hopper
/// among them, since it is where the portable family is measured.
const TARGETS: &[(Arch, Target)] =
    &[(Arch::Sm80, Target::SM_80), (Arch::Sm90a, Target::SM_90A), (Arch::Sm80, Target::new(12, 0))];

/// A configuration's module for one target, and what became of its units.
struct Built {
    name: &'static str,
    target: Target,
    module: Module,
}

/// A cubin, and what is in it.
type Code = (Arc<Cubin>, HashMap<String, sass::Function>);

/// Installs the compiler.
pub(crate) fn install() -> Outcome {
    wheels::nvrtc(false).map(drop)
}

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
    let nvrtc = cached(nvrtc)?;
    let built: Vec<_> = configurations()
        .into_iter()
        .flat_map(|(name, spec)| {
            TARGETS.iter().map(move |&(arch, target)| Built { name, target, module: cuda::emit(&spec, arch) })
        })
        .collect();
    let units: Vec<_> =
        built.iter().flat_map(|built| built.module.units.iter().map(move |unit| (built, unit))).collect();
    let code = side_by_side(&units, |(built, unit)| -> Outcome<Code> {
        let cubin = compile(&nvrtc, &program(built.name, unit), built.target)?;
        let functions =
            sass::functions(&nvdisasm, &cubin, &format!("{}.{}.{}", built.name, built.target, unit.id))?;
        Ok((cubin, functions))
    });
    let mut code = code.into_iter();
    println!(
        "{:<17}{:<9}{:<18}{:>10}{:>8}{:>19}{:>10}{:>7}",
        "configuration", "target", "kernel", "registers", "spills", "shared bytes", "code", "MMA"
    );
    let mut faults = Vec::new();
    for built in &built {
        let units: Outcome<Vec<_>> = code.by_ref().take(built.module.units.len()).collect();
        report(built, units?, &mut faults)?;
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

/// A line for each kernel of a module, whose units have become `code`.
fn report(built: &Built, code: Vec<Code>, faults: &mut Vec<String>) -> Outcome {
    let Built { name, target, module } = built;
    let mut fault = |what: String| faults.push(format!("{name} for {target}: {what}"));
    for (cubin, _) in &code {
        complaints(cubin).for_each(|line| fault(line.to_owned()));
    }
    let units: HashMap<_, _> = module.units.iter().map(|unit| unit.id).zip(code).collect();
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
                Arch::Sm90a => function.gmma,
            }
        );
        if spills > 0 {
            fault(format!("{} spills {spills} bytes", kernel.id));
        }
        if usage.registers * kernel.threads > 65_536 {
            fault(format!("{}: {} registers for {} threads", kernel.id, usage.registers, kernel.threads));
        }
        if kernel.on_tensor_cores() {
            match kernel.arch {
                Arch::Sm80 if function.hmma == 0 => {
                    fault(format!("{}: no tensor-core instruction", kernel.id));
                }
                Arch::Sm90a if function.gmma == 0 || function.utmaldg == 0 => {
                    fault(format!("{}: no warpgroup product, or no tensor copy", kernel.id));
                }
                Arch::Sm80 | Arch::Sm90a => {}
            }
        }
    }
    Ok(())
}

/// The newest NVRTC compiles every text; what its optimiser makes of it is not looked at.
fn newest(faults: &mut Vec<String>) -> Outcome {
    let nvrtc = open(&wheels::nvrtc(true)?)?;
    let (major, minor) = nvrtc.version();
    let nvrtc = cached(nvrtc)?;
    let units: Vec<_> = configurations()
        .into_iter()
        .flat_map(|(name, spec)| {
            cuda::emit(&spec, Arch::Sm90a).units.into_iter().map(move |unit| (name, unit))
        })
        .collect();
    let taken = side_by_side(&units, |(name, unit)| compile(&nvrtc, &program(name, unit), Target::SM_90A));
    let refused: Vec<_> =
        units.iter().zip(taken).filter_map(|((name, _), taken)| Some((name, taken.err()?))).collect();
    println!(
        "\nNVRTC {major}.{minor}, the newest, took {} of {} texts.",
        units.len() - refused.len(),
        units.len()
    );
    faults.extend(refused.iter().map(|(name, error)| format!("{name} with the newest NVRTC: {error}")));
    Ok(())
}

/// The directory of the NVRTC that cubins are held to; fetched where it is not there yet.
pub(crate) fn nvrtc() -> Outcome<PathBuf> {
    wheels::nvrtc(false)
}

fn open(library: &Path) -> Outcome<Nvrtc> {
    Nvrtc::open(Some(library), &Env::process()).map_err(|error| error.to_string())
}

/// The compiler behind a cache in `target/`: a text that has not changed is not compiled again. The key holds the
/// compiler's build and every option besides the text and the target.
fn cached(nvrtc: Nvrtc) -> Outcome<Jit> {
    let mut options = JitOptions::default();
    options.cache_dir = Some(target().join("kernels"));
    options.env = Env::default(); // neither another cache nor cubins from elsewhere
    Jit::with_compiler(options, nvrtc).map_err(|error| error.to_string())
}

fn program(configuration: &str, unit: &Unit) -> Program {
    Program::new(format!("{configuration}.{}.cu", unit.id), unit.source())
}

fn compile(nvrtc: &Jit, program: &Program, target: Target) -> Outcome<Arc<Cubin>> {
    nvrtc.cubin(program, target).map_err(|error| error.to_string())
}

/// Lines of the log in which the compiler warns or gives advice: `(C75…)` is code that it had to serialise.
fn complaints(cubin: &Cubin) -> impl Iterator<Item = &str> {
    cubin.log().lines().filter(|line| line.contains("warning") || line.contains("(C75"))
}
