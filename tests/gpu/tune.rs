//! The tuner on a GPU: winners give the default's output, are not slower, and are found when the kernel is loaded again.

use super::*;
use proxyattn::tune::{Outcome, Progress, Remeasured, Source, TuneReport};
use proxyattn::{Attention, Problem, Tune, proxy_attention};
use std::time::{Duration, Instant};

#[proxy_attention(head_dim = 64, budget = ratio(0.1))]
struct Tenth;

const LENGTHS: [usize; 2] = [4096, 16384];
/// Time for two lengths; most of it is the compiler's.
const LIMIT: Duration = Duration::from_secs(120);
/// A winner may be slower than the default tiles by this share, and by what whole calls of less than a millisecond vary
/// from one median of 21 to the next.
const SLOWER: f64 = 0.02;
const NOISE: f64 = 0.03;

fn problem(tokens: usize) -> Problem {
    Problem { batch: 1, heads: 16, kv_heads: 4, q_len: tokens, kv_len: tokens }
}

/// Every record is whole: the default first, times of all that took part, a winner that is not slower.
fn check_report(report: &TuneReport) {
    println!("{} in {:.1} s: {:?}", report.machine.gpu, report.seconds, report.stored_in);
    assert!(report.skipped.is_empty() && report.refused.is_empty(), "{report:?}");
    assert!(report.stored_in.is_some(), "{:?}", report.store_trouble);
    for record in &report.tuned {
        let winner: Vec<_> = record.winner.iter().map(ToString::to_string).collect();
        println!(
            "{:<8}{:<22} default {:.4} ms, winner {:.4} ms {winner:?}",
            record.unit,
            record.bucket.to_string(),
            record.default_ms,
            record.winner_ms
        );
        assert!(record.winner_ms <= record.default_ms && record.winner_ms > 0.0);
        assert!(record.measurements[0].constants.is_empty());
        for measurement in &record.measurements {
            assert!(!matches!(measurement.outcome, Outcome::Wrong { .. }), "{measurement:?}");
            let failed = matches!(measurement.outcome, Outcome::Failed { .. });
            assert!(failed || !measurement.rounds.is_empty(), "{measurement:?}");
            if let Outcome::Failed { why } = &measurement.outcome {
                println!("  out: {:?}: {why}", measurement.constants);
            }
        }
    }
}

#[test]
fn a_tuned_kernel_is_the_same_and_no_slower() {
    let Some(device) = gpu() else { return };
    let problems = LENGTHS.map(problem);
    let report = {
        let attention = Tenth::load(&device).expect("the kernel loads").with_dense_below(0);
        attention.warmup(&problems).expect("room for the workspace");
        let mut done = 0;
        let mut count =
            |progress: &Progress<'_>| done += usize::from(matches!(progress, Progress::Done { .. }));
        let report = attention.tune(&problems, LIMIT, &mut count).expect("it measures");
        assert_eq!(done, report.tuned.len());
        report
    };
    check_report(&report);

    let default = Tenth::load_tuned(&device, Tune::Off, &[]).expect("the kernel loads").with_dense_below(0);
    let tuned = Tenth::load_tuned(&device, Tune::Cached, &[]).expect("the kernel loads").with_dense_below(0);
    assert!(default.tuned().choices.is_empty());
    let found = tuned.tuned();
    assert!(found.refused.is_empty(), "{found:?}");
    for record in &report.tuned {
        let choice = found.choices.iter().find(|c| c.unit == record.unit && c.bucket == record.bucket);
        let choice = choice.expect("a record in use");
        assert_eq!((&choice.constants, choice.source), (&record.winner, Source::Measured));
    }
    for again in tuned.remeasure(&problems, &mut |_| ()).expect("it measures") {
        let Remeasured { choice, problem, .. } = &again;
        println!("{} of {} tokens again: {:.3}", choice.unit, problem.kv_len, again.ratio());
        assert!(again.ratio() <= 1.0 + SLOWER, "{again:?}");
    }
    for tokens in LENGTHS {
        let case = Case { problem: problem(tokens), seed: 11 };
        let inputs = Inputs::<bf16>::generate(&case, 64);
        let q = on(&device, &inputs.q, inputs.q_shape);
        let k = on(&device, &inputs.k, inputs.kv_shape);
        let v = on(&device, &inputs.v, inputs.kv_shape);
        let run = |attention: &Attention<bf16>| attention.prefill(&q, &k, &v).expect("good inputs");
        let [expected, got] = [&default, &tuned].map(|a| run(a).into_vec().expect("the output comes back"));
        let expected: Vec<f64> = expected.iter().map(|x| f64::from(x.to_f32())).collect();
        let (all, _) = compare::distance(&got, &expected, 64);
        // Where scores tie to rounding, another order of sums may list another block.
        assert!(all <= 5.0 * OUTPUT, "{tokens} tokens: the tuned output is {all:.2e} from the default one");

        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..21 {
            for (attention, times) in [&default, &tuned].into_iter().zip(&mut times) {
                let begun = Instant::now();
                let output = run(attention);
                output.synchronize().expect("no fault");
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        let [default_ms, tuned_ms] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        println!("{tokens} tokens: default {default_ms:.3} ms, tuned {tuned_ms:.3} ms, distance {all:.1e}");
        assert!(tuned_ms <= default_ms * (1.0 + SLOWER + NOISE), "{tuned_ms} ms against {default_ms} ms");
    }
}
