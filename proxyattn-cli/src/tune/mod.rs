//! `proxyattn tune`: measures the fastest tiles for a configuration on this GPU, and stores them.

mod check;
mod report;

pub(crate) use check::record_of;
pub(crate) use report::{DEFAULT, constants_of};

use crate::args::TuneArgs;
use crate::configuration;
use crate::failure::{DONE, FAILED, Failure, Outcome, Report};
use crate::progress::Progress;
use half::{bf16, f16};
use proxyattn_codegen::{Dtype, Spec};
use proxyattn_runtime::jit::Env;
use proxyattn_runtime::tune::{self, Bucket, Record, Source};
use proxyattn_runtime::{Attention, Device, DeviceName, Element, LayerShares, Plan, Problem, Tune};
use std::path::Path;

pub(crate) fn run(args: &TuneArgs) -> Outcome {
    let spec = configuration::parse(&args.spec.configuration)?;
    // Invalid arguments are reported even without a GPU; the device's dense threshold is not known then.
    let ordinal = match Env::process().device()? {
        DeviceName::Cuda(ordinal) => ordinal,
        _ => 0,
    };
    let device = Device::cuda(ordinal).map_err(|error| {
        let no_gpu = Failure::no_gpu(error, "tuning needs a GPU; `proxyattn doctor` says what is missing");
        problems(args, &spec, args.dense_below.unwrap_or(0)).err().unwrap_or(no_gpu)
    })?;
    match spec.dtype {
        Dtype::F16 => on::<f16>(args, &spec, &device),
        Dtype::Bf16 => on::<bf16>(args, &spec, &device),
    }
}

/// One problem per length, each in a different bucket; below `below` tokens the plan is dense.
fn problems(args: &TuneArgs, spec: &Spec, below: usize) -> Outcome<Vec<Problem>> {
    let mut places: Vec<(Bucket, bool)> = Vec::new();
    let mut problems: Vec<Problem> = Vec::new();
    for tokens in args.tokens.iter().map(|tokens| tokens.get()) {
        let problem = args.heads.problem(spec, tokens, tokens)?;
        let plan = Plan::new(spec, &problem)?.dense_below(below);
        let place = (Bucket::of(&plan), plan.is_dense());
        if let Some(known) = places.iter().position(|known| *known == place) {
            return Err(Failure::usage(format!(
                "--tokens: {} and {tokens} fall into the same bucket ({}); pass only one of them",
                args.tokens[known], place.0
            )));
        }
        places.push(place);
        problems.push(problem);
    }
    Ok(problems)
}

fn on<T: Element>(args: &TuneArgs, spec: &Spec, device: &Device) -> Outcome {
    // This command uses records even if PROXYATTN_TUNE=off.
    // Heads are alike where the configuration asks for a layer.
    let heads = args.heads.problem(spec, 1, 1)?.heads;
    let layer = LayerShares::alike(heads)?;
    let kernel = Attention::<T>::load_layer_tuned(spec, device, Tune::Cached, &[], &layer)?;
    let below = args.dense_below.unwrap_or(kernel.dense_below());
    let kernel = kernel.with_dense_below(below);
    let problems = problems(args, spec, below)?;
    let mut report = if args.check {
        check::run(&kernel, spec, &problems, device, args.json)?
    } else {
        let mut watch = Watch::new();
        let tuned = kernel.tune(&problems, args.limit, &mut |progress| watch.show(progress))?;
        drop(watch);
        let text = if args.json { report::json(spec, &tuned) } else { report::text(spec, &tuned) };
        Report { text, code: report::code(&tuned) }
    };
    if let Some(file) = &args.export {
        let line = match report.code {
            DONE => {
                let count = export(&kernel.records()?, file)?;
                format!("exported {} to {}\n", report::records(count), file.display())
            }
            _ => format!("nothing was exported to {}\n", file.display()),
        };
        report.text += if args.json { "" } else { &line };
    }
    Ok(report)
}

/// Writes this machine's records in the format shipped with the crate, and returns their number.
fn export(records: &[(Record, Source)], file: &Path) -> Outcome<usize> {
    let failed =
        |why: String| Failure { message: format!("--export: `{}`: {why}", file.display()), code: FAILED };
    let own = records.iter().filter(|(_, source)| *source == Source::Measured);
    let lines: Vec<String> =
        own.map(|(record, _)| record.line()).collect::<Result<_, _>>().map_err(failed)?;
    if lines.is_empty() {
        return Err(failed("this machine has no record for the configuration; run `tune` first".into()));
    }
    std::fs::write(file, lines.concat()).map_err(|error| failed(error.to_string()))?;
    Ok(lines.len())
}

/// Shows the tuner's progress as a bar.
struct Watch {
    bar: Progress,
    unit: String,
    candidates: usize,
}

impl Watch {
    fn new() -> Self {
        Self { bar: Progress::new("loading", 1), unit: String::new(), candidates: 0 }
    }

    fn show(&mut self, progress: &tune::Progress<'_>) {
        match *progress {
            tune::Progress::Unit { unit, bucket, candidates } => {
                (self.unit, self.candidates) = (format!("{unit}, {bucket}"), candidates);
                self.bar.begin(format!("{}: compiling", self.unit), candidates);
            }
            tune::Progress::Compiled { done } if done == self.candidates => {
                self.bar.begin(format!("{}: checking", self.unit), done);
            }
            tune::Progress::Compiled { done } => self.bar.at(done),
            tune::Progress::Ready { .. } => self.bar.advance(1),
            tune::Progress::Round { round, left, .. } => {
                self.bar
                    .begin(format!("{}: {left} left after round {}", self.unit, round + 1), self.candidates);
                self.bar.at(self.candidates.saturating_sub(left));
            }
            tune::Progress::Again { unit, bucket } => self.bar.begin(format!("{unit}, {bucket}"), 1),
            tune::Progress::Done { .. } => self.bar.at(self.candidates),
            _ => {}
        }
    }
}
