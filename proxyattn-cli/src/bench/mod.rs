//! `proxyattn bench`: times each stage of a configuration and dense attention, on generated inputs.

mod input;
mod report;

use crate::args::BenchArgs;
use crate::configuration;
use crate::failure::{Failure, Outcome};
use crate::progress::Progress;
use half::{bf16, f16};
use input::Qkv;
use proxyattn_codegen::{Budget, Dtype, Spec};
use proxyattn_runtime::{
    Attention, Device, DeviceName, Element, LayerShares, Plan, Problem, Result, Selection, StageTimes,
};
use report::Measured;

pub(crate) fn run(args: &BenchArgs) -> Outcome {
    let spec = configuration::parse(&args.spec.configuration)?;
    let problem = args.shape.problem(&spec)?;
    let plan = Plan::new(&spec, &problem)?;
    let device = match args.device {
        DeviceName::Auto => Device::from_env(),
        named => Device::named(named),
    };
    let device = device.map_err(|error| {
        Failure::no_gpu(error, "use `--device cpu` to time the CPU; `proxyattn doctor` says what is missing")
    })?;
    let runs = args.runs;
    let measured = match spec.dtype {
        Dtype::F16 => measure::<f16>(&plan, &device, runs)?,
        Dtype::Bf16 => measure::<bf16>(&plan, &device, runs)?,
    };
    Ok(if args.json { format!("{}\n", report::json(&measured)) } else { report::text(&measured) }.into())
}

fn measure<T: Element>(plan: &Plan, device: &Device, runs: usize) -> Result<Measured> {
    let (spec, problem) = (plan.spec(), plan.problem());
    // Measure the stages even where `prefill` would run dense.
    // Heads are alike where the configuration asks for a layer.
    let layer = LayerShares::alike(problem.heads)?;
    let kernel = Attention::<T>::load_layer(spec, device, &layer)?;
    let dense_below = kernel.dense_below();
    let kernel = kernel.with_dense_below(0);
    // A configuration that keeps every block is its own baseline.
    let dense_kernel = match plan.is_dense() {
        true => None,
        false => Some(Attention::<T>::load(&Spec { budget: Budget::All, ..*spec }, device)?),
    };
    let progress = Progress::new("generating inputs", 1);
    let inputs = input::generate::<T>(spec, problem)?.to(device)?;
    let (times, selection) = median(&kernel, &inputs, runs, &progress)?;
    let dense = match &dense_kernel {
        Some(kernel) => median(kernel, &inputs, runs, &progress)?.0,
        None => times,
    };
    let tiles = kernel.choices(plan);
    Ok(Measured {
        plan: *plan,
        dense_below,
        device: device.clone(),
        tiles,
        runs,
        density: selection.density(),
        times,
        dense,
    })
}

/// One warm-up run, then the median of `runs`.
fn median<T: Element>(
    kernel: &Attention<T>,
    Qkv { q, k, v }: &Qkv<T>,
    runs: usize,
    progress: &Progress,
) -> Result<(StageTimes, Selection)> {
    let first = kernel.prefill_traced(q, k, v, progress)?;
    let mut times = Vec::with_capacity(runs);
    progress.begin("timing", runs);
    for _ in 0..runs {
        times.push(kernel.prefill_traced(q, k, v, &())?.times);
        progress.advance(1);
    }
    times.sort_by_key(StageTimes::total);
    Ok((times[runs / 2], first.selection))
}

/// Query-key pairs that dense attention computes, over all heads.
fn dense_pairs(spec: &Spec, problem: &Problem) -> f64 {
    let (q, kv) = (problem.q_len as f64, problem.kv_len as f64);
    let hidden = if spec.causal { q * (q - 1.0) / 2.0 } else { 0.0 };
    (problem.batch * problem.heads) as f64 * (q * kv - hidden)
}
