//! `proxyattn inspect`: how a configuration runs on a given shape.

use crate::args::{HeadsArgs, InspectArgs, ShapeArgs};
use crate::compile::cubins;
use crate::configuration;
use crate::expand;
use crate::failure::{Failure, MISSING, Outcome};
use crate::style::{FAINT, WARN, painted};
use crate::table::Table;
use crate::text::{bytes, count, heading, tokens};
use crate::tune::DEFAULT;
use crate::width::Width;
use proxyattn_codegen::cuda::{self, Buffer, Kernel, Module, Shape, emit, retiled, tunable};
use proxyattn_codegen::{Arch, Spec};
use proxyattn_runtime::jit::Cubin;
use proxyattn_runtime::{Plan, Problem, WhyDense, dense_below};
use std::sync::Arc;

impl ShapeArgs {
    /// The problem for a configuration.
    pub(crate) fn problem(&self, spec: &Spec) -> Outcome<Problem> {
        self.heads.problem(spec, self.q_tokens.unwrap_or(self.tokens).get(), self.tokens.get())
    }
}

impl HeadsArgs {
    /// The problem with `q_len` and `kv_len` tokens; the configuration may fix the head counts.
    pub(crate) fn problem(&self, spec: &Spec, q_len: usize, kv_len: usize) -> Outcome<Problem> {
        let pinned = |count: Option<u32>| count.map(|count| count as usize);
        let heads = self.heads.or(pinned(spec.heads)).unwrap_or(32);
        let quarter = heads.is_multiple_of(4).then_some(heads / 4);
        let kv_heads = self.kv_heads.or(pinned(spec.kv_heads)).or(quarter).ok_or_else(|| {
            Failure::usage(format!(
                "--kv-heads: give the number of key/value heads; the default is a quarter of the query heads, and {heads} \
                 is not a multiple of 4"
            ))
        })?;
        Ok(Problem { batch: self.batch, heads, kv_heads, q_len, kv_len })
    }
}

pub(crate) fn run(args: &InspectArgs) -> Outcome {
    let spec = configuration::parse(&args.spec.configuration)?;
    let target = expand::target(&spec, args.arch)?;
    let arch = target.arch();
    let problem = args.shape.problem(&spec)?;
    let below = args.dense_below.unwrap_or(dense_below::tokens(&spec, Some(arch)));
    let plan = Plan::new(&spec, &problem)?.dense_below(below);
    let module = emit(&spec, arch);
    let typical = arch.facts().multiprocessors;
    let multiprocessors = args.multiprocessors.map_or(typical, |given| given as u64);

    let compiled = match args.no_compile {
        true => Err("skipped (--no-compile)".into()),
        false => match cubins(&spec, &module, target).map_err(Failure::from) {
            Ok(cubins) => Ok(cubins),
            Err(failure) if failure.code == MISSING => Err(failure.message),
            Err(failure) => return Err(failure),
        },
    };
    let width = Width::stdout();
    let mut out = summary(&spec, &plan, width);
    let code = if target == arch.into() { String::new() } else { format!(" (the code of {arch})") };
    out += &heading(&format!("kernels for {target}{code}, on {multiprocessors} multiprocessors"));
    out += &kernels(&module, &plan, multiprocessors, compiled.as_deref().ok()).print(width.columns());
    if let Err(why) = &compiled {
        out += &width.fit(&format!("  {} {why}\n", painted(WARN, "registers and spills:")), 2);
    }
    out += &heading("workspace");
    out += &buffers(&module, &plan, width);
    out += &heading("shared memory per CTA");
    for unit in &module.units {
        let run = running(&module, &plan).any(|kernel| kernel.unit == unit.id);
        for (index, line) in unit.shared_memory.iter().enumerate().filter(|_| run) {
            let name = if index == 0 { unit.id.name() } else { "" };
            out += &hanging(&format!("  {name:<9}"), line.trim_end(), width);
        }
    }
    out += &heading("candidate tiles for `tune`");
    out += &candidates(&module, &plan, arch).print(width.columns());
    Ok(out.into())
}

/// A line that begins with a column of its own, which what is broken off does not enter.
fn hanging(name: &str, text: &str, width: Width) -> String {
    let column = name.chars().count();
    let indent = name.len() - name.trim_start().len();
    width.fit(&format!("{name}{text}\n"), column - indent)
}

/// What is run, on what.
fn summary(spec: &Spec, plan: &Plan, width: Width) -> String {
    let (problem, geometry) = (plan.problem(), plan.geometry());
    let mut out = String::new();
    let mut line = |name: &str, text: String| out += &hanging(&format!("{name:<15}"), &text, width);
    let keys = spec.attribute();
    line("configuration", if keys.is_empty() { "the default".into() } else { keys });
    let tokens = tokens(problem);
    line(
        "problem",
        format!(
            "{} × {tokens}, {} on {}, {} dims of {}",
            problem.batch,
            count(problem.heads, "head"),
            count(problem.kv_heads, "KV head"),
            spec.head_dim,
            spec.dtype
        ),
    );
    let stages = match plan.why_dense() {
        Some(why @ WhyDense::Short { .. }) => format!("dense attention alone: {why} (--dense-below)"),
        Some(why) => format!("dense attention alone: {why}"),
        None => {
            format!("{} of heads; one list of blocks for each group and row", count(plan.groups(), "group"))
        }
    };
    line("stages", stages);
    line(
        "blocks",
        format!(
            "{} of queries × {} of keys; {} of the {} are visible to a head",
            count(geometry.rows(), "row"),
            count(geometry.blocks(), "block"),
            geometry.visible_tiles(),
            geometry.rows() * geometry.blocks()
        ),
    );
    if !plan.is_dense() {
        line(
            "budget",
            format!(
                "{}, at least sink = {}, local = {} and the diagonal",
                spec.budget, spec.keep.sink, spec.keep.local
            ),
        );
    }
    out
}

/// The kernels that a plan runs.
fn running<'a>(module: &'a Module, plan: &Plan) -> impl Iterator<Item = &'a Kernel> {
    let dense = plan.is_dense();
    module.kernels.iter().filter(move |kernel| kernel.id.runs(dense))
}

fn kernels(module: &Module, plan: &Plan, multiprocessors: u64, cubins: Option<&[Arc<Cubin>]>) -> Table {
    let (spec, shape) = (plan.spec(), Shape::from(plan.problem()));
    let mut head = vec!["kernel", "stage", "unit", "grid", "threads", "shared"];
    head.extend(cubins.map(|_| ["registers", "spills"]).into_iter().flatten());
    let mut table = Table::new(&head, &[1, 2, 3]);
    for kernel in running(module, plan) {
        let [x, y, z] = kernel.ctas(spec, &shape, multiprocessors);
        let mut row = vec![
            kernel.id.to_string(),
            kernel.id.stage().to_string(),
            kernel.unit.to_string(),
            format!("{x} × {y} × {z}"),
            kernel.threads.to_string(),
            bytes(kernel.shared_bytes(spec, &shape)),
        ];
        if let Some(cubins) = cubins {
            let unit = module.units.iter().position(|unit| unit.id == kernel.unit);
            let usage = unit.and_then(|unit| cubins[unit].kernel(&kernel.id.symbol()));
            let cell = |number: Option<u32>| number.map_or("?".into(), |number| number.to_string());
            row.push(cell(usage.map(|usage| usage.registers)));
            row.push(cell(usage.map(|usage| usage.spill_stores + usage.spill_loads)));
        }
        table.row(row);
    }
    table
}

/// The default tiles and the candidates of each unit that runs.
fn candidates(module: &Module, plan: &Plan, arch: Arch) -> Table {
    let (spec, shape) = (plan.spec(), Shape::from(plan.problem()));
    let mut table = Table::new(&["unit", "threads", "shared", "constants"], &[3]);
    for unit in tunable(spec, arch) {
        if !running(module, plan).any(|kernel| kernel.unit == unit) {
            continue;
        }
        for constants in [Vec::new()].into_iter().chain(cuda::candidates(spec, arch, unit)) {
            let Some(tiles) = module.tiles.with(&constants) else { continue };
            let kernels = retiled(spec, arch, unit, &tiles);
            let most = |of: &dyn Fn(&Kernel) -> u64| kernels.iter().map(of).max().unwrap_or(0);
            let name = if constants.is_empty() { unit.name() } else { "" };
            let each: Vec<_> = constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.row([
                name.to_owned(),
                most(&|kernel| kernel.threads.into()).to_string(),
                bytes(most(&|kernel| kernel.shared_bytes(spec, &shape))),
                if constants.is_empty() { DEFAULT.into() } else { each.join(" ") },
            ]);
        }
    }
    table
}

fn buffers(module: &Module, plan: &Plan, width: Width) -> String {
    let (spec, shape) = (plan.spec(), Shape::from(plan.problem()));
    let taken = |buffer: &&Buffer| {
        running(module, plan).any(|kernel| kernel.scratch().any(|scratch| scratch == buffer.scratch))
    };
    let mut table = Table::new(&["buffer", "size", "elements", "shape", "holds"], &[2, 3, 4]);
    let mut total = 0u64;
    for buffer in module.buffers.iter().filter(taken) {
        let size = buffer.bytes(spec, &shape);
        total += size.next_multiple_of(Buffer::ALIGNMENT);
        let (name, elem) = (buffer.scratch.name(), buffer.scratch.elem().name(spec.dtype));
        table.row([name.into(), bytes(size), elem.into(), buffer.extents(), buffer.holds.into()]);
    }
    match total {
        0 => format!("  {}\n", painted(FAINT, "none")),
        _ => format!("{}  {} in total\n", table.print(width.columns()), bytes(total)),
    }
}
