//! Measuring candidates on the GPU.

use super::bench::Bench;
use super::kernels::TunedKernels;
use super::records::{Recorded, scope};
use crate::cuda::launch::Lanes;
use crate::cuda::load::{LoadedKernel, Loader, in_parallel, of_unit};
use crate::jit::Jit;
use crate::layer::Layer;
use crate::tune::{
    Bucket, Constant, Measurement, Outcome, Progress, Record, Remeasured, Scope, Store, Trial, TuneReport,
    compare, constants, search,
};
use crate::{Error, Plan, Problem, Result};
use proxyattn_codegen::cuda::{Constants, Unit, UnitId, candidates};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The share of tokens whose output may differ where scores are rounded in another order: blocks that tie change places.
/// Attention over given lists has to give the same.
const SWAPPED: f64 = 0.02;

/// A choice of tiles, compiled and loaded if it could be.
struct Candidate {
    constants: Vec<Constant>,
    /// Spent on compiling.
    seconds: f64,
    kernels: Result<Vec<Arc<LoadedKernel>>>,
}

/// What measuring needs of a configuration's kernels.
pub(crate) struct Tuner<'a> {
    pub(crate) loader: &'a Loader,
    pub(crate) kernels: &'a TunedKernels,
    pub(crate) lanes: &'a Lanes,
    pub(crate) layer: Option<&'a Layer>,
}

impl Tuner<'_> {
    /// Measures the units that these plans run, stores the winners, and uses them from then on. With `missing`, only
    /// units without a record.
    pub(crate) fn tune(
        &self,
        plans: &[Plan],
        limit: Duration,
        missing: bool,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<TuneReport> {
        let begun = Instant::now();
        let late = || begun.elapsed() >= limit;
        let scope = scope(self.loader)?;
        let recorded = Recorded::read(self.loader, &[])?;
        let known: Vec<_> = recorded.records.iter().map(|(record, _)| (record.unit, record.bucket)).collect();
        let (mut tuned, mut skipped, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for plan in plans {
            let bucket = Bucket::of(plan);
            let runs = |unit: &&Unit| unit.id.runs(plan.is_dense()) && !self.choices(unit.id).is_empty();
            let mut units: Vec<_> = self.loader.module.units.iter().filter(runs).collect();
            units.retain(|unit| {
                let place = (unit.id, bucket);
                let done = seen.contains(&place) || (missing && known.contains(&place));
                seen.push(place);
                !done
            });
            if units.is_empty() {
                continue;
            }
            if late() {
                skipped.extend(units.iter().map(|unit| (unit.id, bucket)));
                continue;
            }
            let mut bench = self.bench(plan)?;
            for unit in units {
                match self.measure(&mut bench, unit, &scope, &late, progress)? {
                    Some(record) => {
                        progress(&Progress::Done { record: &record });
                        tuned.push(record);
                    }
                    None => skipped.push((unit.id, bucket)),
                }
            }
        }
        let (stored_in, store_trouble) = if tuned.is_empty() { (None, None) } else { keep(&scope, &tuned) };
        if !tuned.is_empty() {
            self.kernels.adopt(self.loader, &Recorded::read(self.loader, &tuned)?);
        }
        let (machine, refused) = (scope.machine, recorded.refused);
        let seconds = begun.elapsed().as_secs_f64();
        Ok(TuneReport { machine, tuned, skipped, refused, stored_in, store_trouble, seconds })
    }

    /// Launches the recorded tiles of these plans' kernels and the default ones alternately. Records that name the default
    /// tiles are left out: both would be the same kernels.
    pub(crate) fn remeasure(
        &self,
        plans: &[Plan],
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Vec<Remeasured>> {
        let mut measured = Vec::new();
        for plan in plans {
            let picked = self.kernels.pick(plan);
            let choices: Vec<_> = self
                .kernels
                .choices(plan)
                .into_iter()
                .filter(|choice| !choice.constants.is_empty())
                .collect();
            if choices.is_empty() {
                continue;
            }
            let mut bench = self.bench(plan)?;
            bench.prepare()?;
            for choice in choices {
                progress(&Progress::Again { unit: choice.unit, bucket: Bucket::of(plan) });
                let tiles = [&self.kernels.default, &picked].map(|kernels| of_unit(kernels, choice.unit));
                let [default_ms, tuned_ms] = compare(|trial| bench.time(&tiles[trial]))?;
                measured.push(Remeasured { choice, problem: *plan.problem(), default_ms, tuned_ms });
            }
        }
        Ok(measured)
    }

    /// Measures one unit; `None` if there was no time for a round.
    fn measure(
        &self,
        bench: &mut Bench<'_>,
        unit: &Unit,
        scope: &Scope,
        late: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Option<Record>> {
        let (bucket, problem) = (Bucket::of(bench.launch.plan), *bench.launch.plan.problem());
        let choices = self.choices(unit.id);
        progress(&Progress::Unit { unit: unit.id, bucket, candidates: choices.len() + 1 });
        let all: Vec<&Constants> = [&[][..]].into_iter().chain(choices.iter().map(Vec::as_slice)).collect();
        let candidates = in_parallel(&all, |choice| self.candidate(unit, choice, &problem), &mut |done| {
            progress(&Progress::Compiled { done })
        });

        // Where nothing may be compiled, nothing would be measured, and the record would say that nothing is faster.
        let mut failed = candidates.iter().filter_map(|candidate| candidate.kernels.as_ref().err());
        if let Some(denied) = failed.find(|error| matches!(error, Error::JitDenied { .. })) {
            return Err(denied.clone());
        }

        let default = &self.kernels.default;
        let pipeline = |own: &[Arc<LoadedKernel>]| -> Vec<Arc<LoadedKernel>> {
            let replaced = |kernel: &Arc<LoadedKernel>| of_id(own, kernel).unwrap_or(kernel).clone();
            default.iter().map(replaced).collect()
        };
        bench.prepare()?;
        let expected = bench.output(default)?;
        let mut trials = Vec::new();
        for candidate in &candidates {
            let mut trial = Trial::default();
            match &candidate.kernels {
                Err(error) => trial.outcome = Some(Outcome::Failed { why: reason(error) }),
                Ok(_) if candidate.constants.is_empty() => {}
                Ok(_) if late() => return Ok(None),
                Ok(kernels) => match bench.output(&pipeline(kernels)) {
                    Ok(got) => trial.outcome = self.judge(bench, unit, &expected, &got),
                    Err(error) => trial.outcome = Some(Outcome::Failed { why: reason(&error) }),
                },
            }
            let failed = match &trial.outcome {
                Some(Outcome::Failed { why } | Outcome::Wrong { why }) => Some(why.as_str()),
                _ => None,
            };
            progress(&Progress::Ready {
                constants: &candidate.constants,
                seconds: candidate.seconds,
                failed,
            });
            trials.push(trial);
        }
        bench.prepare()?;
        let kernels: Vec<&[Arc<LoadedKernel>]> =
            candidates.iter().map(|c| c.kernels.as_ref().map_or(&[][..], Vec::as_slice)).collect();
        let won = search(
            &mut trials,
            |trial| bench.time(kernels[trial]),
            late,
            |round| {
                progress(&Progress::Round {
                    round: round.round,
                    left: round.left,
                    best_ms: round.best_ms,
                    default_ms: round.default_ms,
                });
            },
        )?;
        let Some((winner, default_ms, winner_ms)) = won else { return Ok(None) };
        let measurement = |(trial, candidate): (Trial, &Candidate)| Measurement {
            constants: candidate.constants.clone(),
            rounds: trial.rounds,
            outcome: trial.outcome.unwrap_or(Outcome::Lost),
        };
        Ok(Some(Record {
            scope: scope.clone(),
            attribute: self.loader.spec.attribute(),
            arch: self.loader.arch.to_string(),
            unit: unit.id,
            bucket,
            problem,
            default_ms,
            winner_ms,
            winner: candidates[winner].constants.clone(),
            measurements: trials.into_iter().zip(&candidates).map(measurement).collect(),
        }))
    }

    /// Compiles and loads a candidate. One that cannot be loaded is no error of the measurement.
    fn candidate(&self, unit: &Unit, choice: &Constants, problem: &Problem) -> Candidate {
        let begun = Instant::now();
        let heads = problem.heads_per_kv();
        let default = &self.kernels.default;
        let loaded = match choice.is_empty() {
            true => Ok(of_unit(default, unit.id)),
            false => self.loader.load(unit, choice),
        };
        let kernels = loaded.and_then(|kernels| {
            let idle = |kernel: &&Arc<LoadedKernel>| {
                let usual = of_id(default, kernel).map_or(1, |kernel| kernel.table.pack);
                let pack = kernel.table.pack;
                pack > usual && !heads.is_multiple_of(pack as usize)
            };
            let Some(table) = kernels.iter().find(idle).map(|kernel| &kernel.table) else {
                return Ok(kernels);
            };
            Err(Error::Unavailable {
                what: format!("`{}` with {choice:?}", table.id),
                why: format!("{} heads of a CTA do not divide {heads} heads to a KV head", table.pack),
                help: "the default tiles run with any".into(),
            })
        });
        Candidate { constants: constants(choice), seconds: begun.elapsed().as_secs_f64(), kernels }
    }

    fn bench<'b>(&'b self, plan: &'b Plan) -> Result<Bench<'b>> {
        Bench::new(self.loader, self.lanes, &self.kernels.default, plan, self.layer)
    }

    /// The candidates for a unit, without the default tiles.
    fn choices(&self, unit: UnitId) -> Vec<Vec<(&'static str, u32)>> {
        candidates(&self.loader.spec, self.loader.arch, unit)
    }

    /// Why an output differs from that of the default tiles, if it does.
    fn judge(&self, bench: &Bench<'_>, unit: &Unit, expected: &[u8], got: &[u8]) -> Option<Outcome> {
        let allowed = if unit.id.scores() { SWAPPED } else { 0.0 };
        let (share, worst) = bench.compare(expected, got);
        (share > allowed).then(|| Outcome::Wrong {
            why: format!(
                "{:.2}% of the tokens differ from the default tiles' output, by up to {worst:.1e}: expected at most {:.0}%",
                100.0 * share,
                100.0 * allowed
            ),
        })
    }
}

/// The same kernel among others.
fn of_id<'a>(kernels: &'a [Arc<LoadedKernel>], same: &LoadedKernel) -> Option<&'a Arc<LoadedKernel>> {
    kernels.iter().find(|kernel| kernel.table.id == same.table.id)
}

/// Why a candidate failed, for a list that names it.
fn reason(error: &Error) -> String {
    match error {
        Error::Unavailable { why, .. } => why.clone(),
        other => other.to_string(),
    }
}

/// Stores records: the file, or the reason why they are not stored.
fn keep(scope: &Scope, records: &[Record]) -> (Option<PathBuf>, Option<String>) {
    let stored =
        Jit::global().map_err(|error: Error| error.to_string()).and_then(|jit| match jit.cache_dir() {
            Some(root) => Store::new(root).append(&scope.spec, records).map_err(|error| error.to_string()),
            None => Err(jit.trouble().unwrap_or_default()),
        });
    match stored {
        Ok(path) => (Some(path), None),
        Err(why) => {
            tracing::warn!("tuning records are not stored: {why}");
            (None, Some(why))
        }
    }
}
