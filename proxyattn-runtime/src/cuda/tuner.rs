//! Measuring candidates on the GPU, and making ready for traffic.

use super::bench::Bench;
use super::calls::Call;
use super::kernels::side_by_side;
use super::variants::of_unit;
use super::{Kernels, failed};
use crate::jit::Jit;
use crate::tune::{
    Bucket, Constant, Measurement, Outcome, Progress, Record, Remeasured, Scope, Store, Trial, TuneReport,
    compare, constants, search,
};
use crate::{Error, Plan, Problem, Result, WhyDense};
use proxyattn_codegen::cuda::{Constants, Unit};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// The share of tokens that may come out otherwise where scores are rounded in another order: blocks that tie change
/// places. Attention over given lists has no such excuse.
const SWAPPED: f64 = 0.02;

/// Tokens that kernels are launched on to have been launched.
const WARM_TOKENS: usize = 4096;

/// A candidate on its way.
struct Candidate {
    constants: Vec<Constant>,
    seconds: f64,
    calls: Result<Vec<Arc<Call>>>,
}

impl Kernels {
    /// Measures the units that these plans run, stores what won, and uses it from then on. With `missing`, only what
    /// has no record.
    pub(crate) fn tune(
        &self,
        plans: &[Plan],
        limit: Duration,
        missing: bool,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<TuneReport> {
        let begun = Instant::now();
        let late = || begun.elapsed() >= limit;
        let scope = self.scope()?;
        let recorded = self.recorded(&[])?;
        let known: Vec<_> = recorded.records.iter().map(|(record, _)| (record.unit, record.bucket)).collect();
        let (mut tuned, mut skipped, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for plan in plans {
            let bucket = Bucket::of(plan);
            let runs = |unit: &&Unit| unit.id.runs(plan.is_dense()) && !self.choices(unit.id).is_empty();
            let mut units: Vec<_> = self.module.units.iter().filter(runs).collect();
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
            let mut bench = Bench::new(self, plan)?;
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
            self.adopt(&self.recorded(&tuned)?);
        }
        let (machine, refused) = (scope.machine, recorded.refused);
        let seconds = begun.elapsed().as_secs_f64();
        Ok(TuneReport { machine, tuned, skipped, refused, stored_in, store_trouble, seconds })
    }

    /// Launches what these plans run by records, and what they would run without, in turns. Records that name the
    /// default tiles are left out: both would be the same kernels.
    pub(crate) fn remeasure(
        &self,
        plans: &[Plan],
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Vec<Remeasured>> {
        let mut measured = Vec::new();
        for plan in plans {
            let picked = self.pick(plan);
            let choices: Vec<_> =
                self.choices_of(plan).into_iter().filter(|choice| !choice.constants.is_empty()).collect();
            if choices.is_empty() {
                continue;
            }
            let mut bench = Bench::new(self, plan)?;
            bench.prepare()?;
            for choice in choices {
                progress(&Progress::Again { unit: choice.unit, bucket: Bucket::of(plan) });
                let trials = [&self.default, &*picked].map(|calls| of_unit(calls, choice.unit));
                let [default_ms, tuned_ms] = compare(|trial| bench.time(&trials[trial]))?;
                measured.push(Remeasured { choice, problem: *plan.problem(), default_ms, tuned_ms });
            }
        }
        Ok(measured)
    }

    /// Tunes one unit; `None` if there was no time for a round.
    fn measure(
        &self,
        bench: &mut Bench<'_>,
        unit: &Unit,
        scope: &Scope,
        late: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Option<Record>> {
        let (bucket, problem) = (Bucket::of(&bench.plan), *bench.plan.problem());
        let choices = self.choices(unit.id);
        progress(&Progress::Unit { unit: unit.id, bucket, candidates: choices.len() + 1 });
        let all: Vec<&Constants> = [&[][..]].into_iter().chain(choices.iter().map(Vec::as_slice)).collect();
        let candidates = side_by_side(&all, |choice| self.candidate(unit, choice, &problem), &mut |done| {
            progress(&Progress::Compiled { done })
        });

        // Without leave to compile nothing would be measured, and the record would say that nothing is faster.
        let mut failed = candidates.iter().filter_map(|candidate| candidate.calls.as_ref().err());
        if let Some(denied) = failed.find(|error| matches!(error, Error::JitDenied { .. })) {
            return Err(denied.clone());
        }

        let own = |calls: &[Arc<Call>]| -> Vec<Arc<Call>> {
            let mine =
                |call: &Arc<Call>| calls.iter().find(|other| other.kernel.id == call.kernel.id).cloned();
            self.default.iter().map(|call| mine(call).unwrap_or_else(|| call.clone())).collect()
        };
        bench.prepare()?;
        let expected = bench.output(&self.default)?;
        let mut trials = Vec::new();
        for candidate in &candidates {
            let mut trial = Trial::default();
            match &candidate.calls {
                Err(error) => trial.outcome = Some(Outcome::Failed { why: reason(error) }),
                Ok(_) if candidate.constants.is_empty() => {}
                Ok(_) if late() => return Ok(None),
                Ok(calls) => match bench.output(&own(calls)) {
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
        let calls: Vec<&[Arc<Call>]> =
            candidates.iter().map(|c| c.calls.as_ref().map_or(&[][..], Vec::as_slice)).collect();
        let won = search(
            &mut trials,
            |trial| bench.time(calls[trial]),
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
            attribute: self.spec.attribute(),
            arch: self.arch.to_string(),
            unit: unit.id,
            bucket,
            problem,
            default_ms,
            winner_ms,
            winner: candidates[winner].constants.clone(),
            measurements: trials.into_iter().zip(&candidates).map(measurement).collect(),
        }))
    }

    /// Compiles and loads a candidate. What cannot be is no error.
    fn candidate(&self, unit: &Unit, choice: &Constants, problem: &Problem) -> Candidate {
        let begun = Instant::now();
        let heads = problem.heads_per_kv();
        let calls = self.unit(unit, choice).and_then(|calls| {
            let default = |call: &Call| self.default.iter().find(|other| other.kernel.id == call.kernel.id);
            let idle = |call: &&Arc<Call>| {
                let (pack, usual) = (call.kernel.pack, default(call).map_or(1, |call| call.kernel.pack));
                pack > usual && !heads.is_multiple_of(pack as usize)
            };
            match calls.iter().find(idle) {
                None => Ok(calls),
                Some(call) => Err(Error::Unavailable {
                    what: format!("`{}` with {choice:?}", call.kernel.id),
                    why: format!(
                        "{} heads of a CTA do not divide {heads} heads to a KV head",
                        call.kernel.pack
                    ),
                    help: "the default tiles run with any".into(),
                }),
            }
        });
        Candidate { constants: constants(choice), seconds: begun.elapsed().as_secs_f64(), calls }
    }

    /// Why an output is not the default's, if it is not.
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

    /// Launches once what these plans will launch, on a short context, and reserves the workspace of the largest.
    pub(crate) fn warmup(&self, plans: &[Plan]) -> Result<()> {
        let mut bytes = 0;
        for plan in plans {
            let calls = self.pick(plan);
            self.check(plan, &calls)?;
            bytes = bytes.max(self.layout(plan).bytes());
            // A plan that selects does so on a short context too.
            let below = match plan.why_dense() {
                Some(WhyDense::Short { below }) => below,
                _ => 0,
            };
            let mut short = *plan.problem();
            while short.kv_len > WARM_TOKENS {
                let half =
                    Problem { q_len: short.q_len.min(short.kv_len / 2), kv_len: short.kv_len / 2, ..short };
                if Plan::new(&self.spec, &half)?.dense_below(below).is_dense() != plan.is_dense() {
                    break;
                }
                short = half;
            }
            let short = Plan::new(&self.spec, &Problem { batch: 1, ..short })?.dense_below(below);
            Bench::new(self, &short)?.output(&calls)?;
        }
        self.device.bind()?;
        let mut held = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        held.reserve(self.device.stream(), bytes)?;
        self.device.stream().synchronize().map_err(failed("cuStreamSynchronize"))
    }
}

/// Why a candidate is out; which one it is stands beside it.
fn reason(error: &Error) -> String {
    match error {
        Error::Unavailable { why, .. } => why.clone(),
        other => other.to_string(),
    }
}

/// Stores records; where, or why not.
fn keep(scope: &Scope, records: &[Record]) -> (Option<std::path::PathBuf>, Option<String>) {
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
