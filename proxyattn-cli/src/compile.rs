//! `proxyattn compile`: compiles cubins ahead of time, for machines without NVRTC.

use crate::args::CompileArgs;
use crate::configuration;
use crate::expand;
use crate::failure::Outcome;
use crate::progress::Progress;
use crate::style::{GOOD, painted};
use crate::table::Table;
use crate::text::{bytes, count};
use crate::width::Width;
use proxyattn_codegen::Spec;
use proxyattn_codegen::cuda::{Module, Unit, emit};
use proxyattn_runtime::Result;
use proxyattn_runtime::jit::{Aot, Cubin, Env, Jit, JitOptions, Program, Target};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;

pub(crate) fn run(args: &CompileArgs) -> Outcome {
    let spec = configuration::parse(&args.spec.configuration)?;
    for &target in &args.arch {
        expand::target(&spec, Some(target))?;
    }
    let modules: Vec<_> = args.arch.iter().map(|&target| (target, emit(&spec, target.arch()))).collect();
    let compiled: Vec<_> =
        modules.iter().map(|(target, module)| cubins(&spec, module, *target)).collect::<Result<_>>()?;
    let aot = Aot::create(&args.out)?; // after compiling, so that a failure leaves no empty directory
    let mut table = Table::new(&["key", "target", "unit", "kernels", "size"], &[1, 2, 3]);
    for ((target, module), cubins) in modules.iter().zip(&compiled) {
        for (unit, cubin) in module.units.iter().zip(cubins) {
            let file = aot.store(&program(&spec, unit), *target, cubin)?;
            let key = file.file_stem().unwrap_or_default().to_string_lossy().chars().take(12).collect();
            let kernels = module.kernels.iter().filter(|kernel| kernel.unit == unit.id);
            let kernels: Vec<_> = kernels.map(|kernel| kernel.id.name()).collect();
            let size = bytes(cubin.bytes().len() as u64);
            table.row([key, target.to_string(), unit.id.to_string(), kernels.join(", "), size]);
        }
    }
    let stored = compiled.iter().map(Vec::len).sum();
    let dir = aot.dir().display();
    let width = Width::stdout();
    let told = format!(
        "{} {} in {dir}\n\nTo use them, set on the target machine, which needs neither NVRTC nor a CUDA toolkit:\n  \
         PROXYATTN_AOT_DIR={dir} PROXYATTN_JIT=deny\n",
        painted(GOOD, "stored"),
        count(stored, "cubin"),
    );
    Ok(format!("{}\n{}", table.print(width.columns()), width.fit(&told, 0)).into())
}

/// The cubins of a module's units, from the cache or compiled in parallel.
///
/// # Errors
/// As [`Jit::cubin`].
pub(crate) fn cubins(spec: &Spec, module: &Module, target: Target) -> Result<Vec<Arc<Cubin>>> {
    let mut options = JitOptions::default();
    // This command compiles even if PROXYATTN_JIT forbids programs to.
    options.compile = Some(true);
    options.env = Env::process().without("PROXYATTN_AOT_DIR");
    let jit = Jit::new(options)?;
    let progress = Progress::new(format!("compiling for {target}"), module.units.len());
    let compile = |unit: &Unit| {
        let cubin = jit.cubin(&program(spec, unit), target);
        progress.advance(1);
        cubin
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = module.units.iter().map(|unit| scope.spawn(|| compile(unit))).collect();
        let join = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|e| resume_unwind(e));
        threads.into_iter().map(join).collect()
    })
}

fn program(spec: &Spec, unit: &Unit) -> Program {
    Program::new(format!("proxyattn.{}", unit.id), unit.source()).of_attribute(spec.attribute())
}
