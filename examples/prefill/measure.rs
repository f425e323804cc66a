//! Runs the sparse and the dense kernel on the same input, and puts everything that is to be said into one value.

use super::{
    compare::{self, HeadReport},
    kernels::{Budget, Kernels},
};
use kit::{
    input::Qkv,
    mass::{self, BlockMass},
    progress::Progress,
};
use proxyattn::codegen::Spec;
use proxyattn::synthetic::Needle;
use proxyattn::{
    AsView, Attention, Device, Element, Observer, Problem, Result, Selection, StageTimes, Trace, WhyDense,
    dense_below,
};
use std::time::Duration;

/// Repetitions go on for about this long, and up to [`MAX_RUNS`] times.
const TIMING: Duration = Duration::from_secs(1);
const MAX_RUNS: usize = 9;
/// A warm-up as long as this is measurement enough.
const LONG: Duration = Duration::from_secs(20);
/// Above this many tokens, or multiplications in dense attention, there is something to wait for.
const LONG_TOKENS: usize = 8192;
const LONG_WORK: f64 = 2e11;
/// Up to this many query tokens the true mass of every row of blocks is computed, else of so many.
const EXACT_TOKENS: usize = 8192;
const SAMPLED_ROWS: usize = 128;

/// Everything that the program reports.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) device: Device,
    pub(super) spec: Spec,
    pub(super) problem: Problem,
    pub(super) groups: usize,
    /// Why nothing was selected, if nothing was.
    pub(super) why_dense: Option<WhyDense>,
    /// Why an ordinary call, which this program's is not, would run the input dense.
    pub(super) why_usually_dense: Option<WhyDense>,
    pub(super) selection: Selection,
    pub(super) mass: BlockMass,
    pub(super) heads: Vec<HeadReport>,
    pub(super) density: f64,
    pub(super) recall: f64,
    pub(super) recall_oracle: f64,
    pub(super) needle_recall: Option<f64>,
    pub(super) rel_l2: f64,
    pub(super) sparse: Timing,
    pub(super) dense: Timing,
}

/// The median run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) times: StageTimes,
    pub(super) runs: usize,
}

impl Timing {
    /// The time of all stages.
    pub(super) fn total(&self) -> Duration {
        self.times.total()
    }
}

impl Outcome {
    /// How many times faster than dense attention.
    pub(super) fn speedup(&self) -> f64 {
        self.dense.total().as_secs_f64() / self.sparse.total().as_secs_f64()
    }
}

/// Runs and compares.
pub(super) fn measure<T: Kernels + Into<f32>>(
    input: &Qkv<T>,
    needles: &[Needle],
    budget: Budget,
    device: &Device,
) -> Result<Outcome> {
    let head_dim = input.q.shape()[3];
    let sparse = T::load(head_dim, budget, device)?;
    let dense = T::load(head_dim, Budget::All, device)?;
    let problem = compare::problem(input);
    let plan = sparse.plan(&problem)?;
    let progress = progress_for(&problem, head_dim);

    let placed = input.to(device)?;
    let (ours, sparse_timing) = time(&sparse, &placed, "sparse", &progress)?;
    let (exact, dense_timing) = time(&dense, &placed, "dense", &progress)?;
    let outputs = [ours.output.to(&Device::Cpu)?, exact.output.to(&Device::Cpu)?];
    let geometry = plan.geometry();
    let rows = match problem.q_len <= EXACT_TOKENS {
        true => (0..geometry.rows()).collect(),
        false => mass::spread(0..geometry.rows(), SAMPLED_ROWS),
    };
    let (q, k) = (input.q.as_view(), input.k.as_view());
    let mass = BlockMass::compute(&q, &k, &geometry, rows, plan.spec().softmax_scale(), &progress);
    progress.clear();

    let heads = compare::heads(&ours.selection, &mass);
    let mean = |of: fn(&HeadReport) -> f64| heads.iter().map(of).sum::<f64>() / heads.len() as f64;
    Ok(Outcome {
        device: device.clone(),
        spec: *sparse.spec(),
        problem,
        groups: plan.groups(),
        why_dense: ours.plan.why_dense(),
        why_usually_dense: plan.dense_below(dense_below::tokens(sparse.spec(), sparse.arch())).why_dense(),
        density: ours.selection.density(),
        recall: mean(|head| head.recall),
        recall_oracle: mean(|head| head.recall_oracle),
        needle_recall: compare::needle_recall(&ours.selection, needles),
        rel_l2: compare::relative_l2(&outputs[0], &outputs[1]),
        selection: ours.selection,
        mass,
        heads,
        sparse: sparse_timing,
        dense: dense_timing,
    })
}

fn progress_for(problem: &Problem, head_dim: usize) -> Progress {
    let pairs = problem.q_len as f64 * problem.kv_len as f64;
    let work = (problem.batch * problem.heads * head_dim) as f64 * pairs;
    if problem.q_len > LONG_TOKENS || work > LONG_WORK { Progress::visible() } else { Progress::hidden() }
}

/// One run to warm up, whose results are kept and whose progress is shown; then the run of median time among
/// several that nobody watches.
fn time<T: Element>(
    kernel: &Attention<T>,
    input: &Qkv<T>,
    name: &str,
    progress: &Progress,
) -> Result<(Trace<T>, Timing)> {
    let run = |observer: &dyn Observer| kernel.prefill_traced(&input.q, &input.k, &input.v, observer);
    let first = run(progress)?;
    let once = first.times.total();
    if once >= LONG {
        let timing = Timing { times: first.times, runs: 1 };
        return Ok((first, timing));
    }
    let fitting = (TIMING.as_secs_f64() / once.as_secs_f64().max(1e-9)) as usize;
    let runs = fitting.clamp(1, MAX_RUNS) | 1; // odd, so that one of them is the median
    progress.begin(format!("timing {name}"), runs);
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        times.push(run(&())?.times);
        progress.advance(1);
    }
    times.sort_by_key(StageTimes::total);
    Ok((first, Timing { times: times[runs / 2], runs }))
}
