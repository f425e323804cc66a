//! Successive halving: each round interleaves the launches of the remaining trials, with more launches than the round before,
//! and drops the slower half. The first trial, the default tiles, is the baseline and stays to the end.

use super::Outcome;

/// Launches of each trial, round by round; later rounds have as many as the last.
const LAUNCHES: [usize; 3] = [3, 7, 15];
/// Timed launches of each side in [`compare`], and warm-up launches before them.
const COMPARED: usize = 24;
const WARM_UP: usize = 2;
/// The fraction by which a winner has to beat the default tiles. Medians of [`LAUNCHES`] repeat within half a percent.
const MARGIN: f32 = 0.01;

/// One choice of tiles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    /// Milliseconds of each launch, for each round.
    pub(crate) rounds: Vec<Vec<f32>>,
    /// `None` while the trial runs.
    pub(crate) outcome: Option<Outcome>,
}

/// The result of a round.
pub(crate) struct Round {
    pub(crate) round: usize,
    pub(crate) left: usize,
    pub(crate) best_ms: f32,
    pub(crate) default_ms: f32,
}

/// The winner, with the medians of the default tiles and of the winner in the last complete round; `None` if no round was
/// completed in time. Trials that have an outcome are skipped. `time` launches a trial once; a trial whose launch fails is
/// dropped, but an error of the first trial ends the search. `on_round` is called after each round.
pub(crate) fn search<E>(
    trials: &mut [Trial],
    mut time: impl FnMut(usize) -> Result<f32, E>,
    mut late: impl FnMut() -> bool,
    mut on_round: impl FnMut(&Round),
) -> Result<Option<(usize, f32, f32)>, E>
where
    E: ToString,
{
    let mut ranking: Option<Vec<(f32, usize)>> = None;
    for round in 0.. {
        let mut left: Vec<usize> = (0..trials.len()).filter(|&i| trials[i].outcome.is_none()).collect();
        let launches = LAUNCHES[round.min(LAUNCHES.len() - 1)];
        let mut times = vec![Vec::with_capacity(launches); trials.len()];
        // Interleaved, so that clocks that follow the load are the same for all.
        for _ in 0..launches {
            if late() {
                return Ok(finish(trials, ranking));
            }
            for i in left.clone() {
                match time(i) {
                    Ok(ms) => times[i].push(ms),
                    Err(error) if i == 0 => return Err(error),
                    Err(error) => {
                        trials[i].outcome = Some(Outcome::Failed { why: error.to_string() });
                        left.retain(|&other| other != i);
                    }
                }
            }
        }
        let mut order: Vec<(f32, usize)> = left.iter().map(|&i| (median(&times[i]), i)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        for &i in &left {
            trials[i].rounds.push(core::mem::take(&mut times[i]));
        }
        let last = left.len() <= 3 && round + 1 >= LAUNCHES.len();
        let keep = if last { left.len() } else { left.len().div_ceil(2).max(2) };
        for &(_, i) in order.iter().skip(keep).filter(|(_, i)| *i != 0) {
            trials[i].outcome = Some(Outcome::Eliminated { round });
        }
        let default_ms = order.iter().find(|(_, i)| *i == 0).map_or(f32::NAN, |(ms, _)| *ms);
        let kept = trials.iter().filter(|trial| trial.outcome.is_none()).count();
        on_round(&Round { round, left: kept, best_ms: order[0].0, default_ms });
        ranking = Some(order);
        if last {
            break;
        }
    }
    Ok(finish(trials, ranking))
}

/// The medians of two sides whose launches are interleaved, each as often first as second, after a few warm-up launches.
pub(crate) fn compare<E>(mut time: impl FnMut(usize) -> Result<f32, E>) -> Result<[f32; 2], E> {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..WARM_UP + COMPARED {
        for side in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
            let ms = time(side)?;
            if turn >= WARM_UP {
                times[side].push(ms);
            }
        }
    }
    Ok(times.map(|times| median(&times)))
}

/// Decides by the last complete round.
fn finish(trials: &mut [Trial], ranking: Option<Vec<(f32, usize)>>) -> Option<(usize, f32, f32)> {
    let order = ranking?;
    let &(default_ms, _) = order.iter().find(|(_, i)| *i == 0)?;
    let mut winner = (0, default_ms);
    // A trial may have failed after that round.
    if let Some(&(ms, i)) = order.iter().find(|(_, i)| trials[*i].outcome.is_none())
        && ms < default_ms * (1.0 - MARGIN)
    {
        winner = (i, ms);
    }
    for (i, trial) in trials.iter_mut().enumerate() {
        trial.outcome.get_or_insert(if i == winner.0 { Outcome::Won } else { Outcome::Lost });
    }
    Some((winner.0, default_ms, winner.1))
}

fn median(times: &[f32]) -> f32 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A search over trials with these times and up to half a percent of noise; its result and the number of launches.
    fn run(ms: &[f32], limit: usize) -> (Option<(usize, f32, f32)>, Vec<Trial>, usize) {
        let mut trials = vec![Trial::default(); ms.len()];
        let (mut launches, mut noise) = (0, 1u32);
        let count = std::cell::Cell::new(0);
        let won = search(
            &mut trials,
            |i| {
                count.set(count.get() + 1);
                launches += 1;
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if ms[i] < 0.0 {
                    Err("it fell")
                } else {
                    Ok(ms[i] * (1.0 + (noise >> 16) as f32 / 65536.0 * 0.005))
                }
            },
            || count.get() >= limit,
            |_| {},
        );
        (won.unwrap(), trials, launches)
    }

    #[test]
    fn the_fastest_wins_and_the_slower_half_is_dropped() {
        let ms = [10.0, 12.0, 9.0, 14.0, 11.0, 9.5, 20.0, 30.0];
        let (won, trials, launches) = run(&ms, usize::MAX);
        let (winner, default_ms, winner_ms) = won.unwrap();
        assert_eq!(winner, 2);
        assert!((10.0..10.06).contains(&default_ms) && (9.0..9.06).contains(&winner_ms));
        assert_eq!(trials[2].outcome, Some(Outcome::Won));
        assert_eq!(trials[7].outcome, Some(Outcome::Eliminated { round: 0 }));
        assert_eq!(trials[0].outcome, Some(Outcome::Lost));
        assert_eq!(trials[7].rounds.len(), 1);
        assert_eq!(trials[0].rounds.len(), trials[2].rounds.len(), "the default is measured to the end");
        assert!(trials[0].rounds.iter().map(Vec::len).eq([3, 7, 15]), "{:?}", trials[0].rounds);
        assert!(launches < 8 * (3 + 7 + 15) / 2, "{launches}");
    }

    #[test]
    fn the_default_is_measured_to_the_end_even_if_it_is_the_slowest() {
        let (won, trials, _) = run(&[50.0, 12.0, 9.0, 14.0, 11.0], usize::MAX);
        assert_eq!(won.unwrap().0, 2);
        assert_eq!((trials[0].rounds.len(), trials[0].outcome.clone()), (3, Some(Outcome::Lost)));
    }

    #[test]
    fn a_gain_within_the_noise_does_not_win() {
        let (won, trials, _) = run(&[10.0, 9.95, 10.5], usize::MAX);
        assert_eq!(won.unwrap().0, 0);
        assert_eq!(trials[0].outcome, Some(Outcome::Won));
        assert_eq!(trials[1].outcome, Some(Outcome::Lost));
    }

    #[test]
    fn a_trial_that_fails_is_dropped_with_its_reason() {
        let (won, trials, _) = run(&[10.0, -1.0, 9.0], usize::MAX);
        assert_eq!(won.unwrap().0, 2);
        assert_eq!(trials[1].outcome, Some(Outcome::Failed { why: "it fell".into() }));
        let mut trials = vec![Trial::default(); 2];
        assert_eq!(search(&mut trials, |_| Err::<f32, _>("gone"), || false, |_| {}), Err("gone"));
    }

    #[test]
    fn a_trial_with_an_outcome_is_not_launched() {
        let mut trials = vec![Trial::default(); 3];
        trials[1].outcome = Some(Outcome::Wrong { why: "NaN".into() });
        let won = search(&mut trials, |i| Ok::<_, String>([3.0, 1.0, 2.0][i]), || false, |_| {}).unwrap();
        assert_eq!(won, Some((2, 3.0, 2.0)));
        assert!(trials[1].rounds.is_empty());
    }

    #[test]
    fn at_the_time_limit_the_last_complete_round_decides() {
        let (won, trials, _) = run(&[10.0, 8.0, 12.0], 9 + 4);
        assert_eq!(won.unwrap().0, 1);
        assert_eq!(trials[1].rounds.len(), 1);
        let (won, trials, launches) = run(&[10.0, 8.0, 12.0], 3);
        assert_eq!((won, launches), (None, 3));
        assert!(trials.iter().all(|trial| trial.outcome.is_none()));
    }

    #[test]
    fn a_comparison_treats_both_sides_alike() {
        let (mut first, mut count) = ([0, 0], [0, 0]);
        let medians = compare(|side| {
            first[side] += usize::from(count[0] == count[1]);
            count[side] += 1;
            // The first launches are slow, and every third is disturbed.
            let disturbed = if count[side] <= WARM_UP || count[side] % 3 == 0 { 10.0 } else { 0.0 };
            Ok::<_, String>([2.0, 3.0][side] + disturbed)
        });
        assert_eq!(medians, Ok([2.0, 3.0]));
        assert_eq!(count, [WARM_UP + COMPARED; 2]);
        assert_eq!(first, [(WARM_UP + COMPARED) / 2; 2]);
        assert_eq!(compare(|side| if side == 1 { Err("gone") } else { Ok(1.0) }), Err("gone"));
    }

    #[test]
    fn a_lone_default_wins() {
        assert_eq!(run(&[10.0], usize::MAX).0.unwrap().0, 0);
    }
}
