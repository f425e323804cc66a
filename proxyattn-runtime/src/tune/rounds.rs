//! Rounds with elimination: every survivor is launched more often than in the round before, in turns with the others, and
//! the slower half goes. The first lane, the default tiles, stays to the end: it is what the others are measured against.

use super::Outcome;

/// Launches of each survivor, round by round; further rounds have as many as the last.
const LAUNCHES: [usize; 3] = [3, 7, 15];
/// Launches of each lane of a [`duel`], and those before that do not count.
const DUEL: usize = 24;
const UNCOUNTED: usize = 2;
/// By what share a winner has to beat the default tiles. Medians of [`LAUNCHES`] repeat within half a percent.
const MARGIN: f32 = 0.01;

/// One choice of tiles in the contest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    /// Milliseconds of each launch, for each round.
    pub(crate) rounds: Vec<Vec<f32>>,
    /// `None` while it is in.
    pub(crate) outcome: Option<Outcome>,
}

/// Where a round has led to.
pub(crate) struct Standing {
    pub(crate) round: usize,
    pub(crate) left: usize,
    pub(crate) best_ms: f32,
    pub(crate) default_ms: f32,
}

/// Which lane won, and the default's and its medians in the last round; `None` if time was over before there was one.
/// Lanes with an outcome do not take part. `time` launches a lane once; a lane that it fails for is out, and if that is
/// the first one, so is the contest.
pub(crate) fn contest<E>(
    lanes: &mut [Lane],
    mut time: impl FnMut(usize) -> Result<f32, E>,
    mut late: impl FnMut() -> bool,
    mut told: impl FnMut(&Standing),
) -> Result<Option<(usize, f32, f32)>, E>
where
    E: ToString,
{
    let mut standing: Option<Vec<(f32, usize)>> = None;
    for round in 0.. {
        let mut left: Vec<usize> = (0..lanes.len()).filter(|&i| lanes[i].outcome.is_none()).collect();
        let launches = LAUNCHES[round.min(LAUNCHES.len() - 1)];
        let mut times = vec![Vec::with_capacity(launches); lanes.len()];
        // In turns, so that clocks that follow the load are the same for all.
        for _ in 0..launches {
            if late() {
                return Ok(finish(lanes, standing));
            }
            for i in left.clone() {
                match time(i) {
                    Ok(ms) => times[i].push(ms),
                    Err(error) if i == 0 => return Err(error),
                    Err(error) => {
                        lanes[i].outcome = Some(Outcome::Failed { why: error.to_string() });
                        left.retain(|&other| other != i);
                    }
                }
            }
        }
        let mut order: Vec<(f32, usize)> = left.iter().map(|&i| (median(&times[i]), i)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        for &i in &left {
            lanes[i].rounds.push(core::mem::take(&mut times[i]));
        }
        let last = left.len() <= 3 && round + 1 >= LAUNCHES.len();
        let keep = if last { left.len() } else { left.len().div_ceil(2).max(2) };
        for &(_, i) in order.iter().skip(keep).filter(|(_, i)| *i != 0) {
            lanes[i].outcome = Some(Outcome::Eliminated { round });
        }
        let default_ms = order.iter().find(|(_, i)| *i == 0).map_or(f32::NAN, |(ms, _)| *ms);
        let kept = lanes.iter().filter(|lane| lane.outcome.is_none()).count();
        told(&Standing { round, left: kept, best_ms: order[0].0, default_ms });
        standing = Some(order);
        if last {
            break;
        }
    }
    Ok(finish(lanes, standing))
}

/// Medians of two lanes that are launched in turns, each as often first as second; what comes before clocks have settled
/// does not count.
pub(crate) fn duel<E>(mut time: impl FnMut(usize) -> Result<f32, E>) -> Result<[f32; 2], E> {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..UNCOUNTED + DUEL {
        for lane in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
            let ms = time(lane)?;
            if turn >= UNCOUNTED {
                times[lane].push(ms);
            }
        }
    }
    Ok(times.map(|times| median(&times)))
}

/// Settles the contest on the last round that was completed.
fn finish(lanes: &mut [Lane], standing: Option<Vec<(f32, usize)>>) -> Option<(usize, f32, f32)> {
    let order = standing?;
    let &(default_ms, _) = order.iter().find(|(_, i)| *i == 0)?;
    let mut winner = (0, default_ms);
    // A lane may have failed after that round.
    if let Some(&(ms, i)) = order.iter().find(|(_, i)| lanes[*i].outcome.is_none())
        && ms < default_ms * (1.0 - MARGIN)
    {
        winner = (i, ms);
    }
    for (i, lane) in lanes.iter_mut().enumerate() {
        lane.outcome.get_or_insert(if i == winner.0 { Outcome::Won } else { Outcome::Lost });
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

    /// A contest of lanes that take so long, with up to half a percent of noise; what came of it, and launches.
    fn run(ms: &[f32], limit: usize) -> (Option<(usize, f32, f32)>, Vec<Lane>, usize) {
        let mut lanes = vec![Lane::default(); ms.len()];
        let (mut launches, mut noise) = (0, 1u32);
        let count = std::cell::Cell::new(0);
        let won = contest(
            &mut lanes,
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
        (won.unwrap(), lanes, launches)
    }

    #[test]
    fn the_fastest_wins_and_the_slow_half_is_spared() {
        let ms = [10.0, 12.0, 9.0, 14.0, 11.0, 9.5, 20.0, 30.0];
        let (won, lanes, launches) = run(&ms, usize::MAX);
        let (winner, default_ms, winner_ms) = won.unwrap();
        assert_eq!(winner, 2);
        assert!((10.0..10.06).contains(&default_ms) && (9.0..9.06).contains(&winner_ms));
        assert_eq!(lanes[2].outcome, Some(Outcome::Won));
        assert_eq!(lanes[7].outcome, Some(Outcome::Eliminated { round: 0 }));
        assert_eq!(lanes[0].outcome, Some(Outcome::Lost));
        assert_eq!(lanes[7].rounds.len(), 1);
        assert_eq!(lanes[0].rounds.len(), lanes[2].rounds.len(), "the default is measured to the end");
        assert!(lanes[0].rounds.iter().map(Vec::len).eq([3, 7, 15]), "{:?}", lanes[0].rounds);
        assert!(launches < 8 * (3 + 7 + 15) / 2, "{launches}");
    }

    #[test]
    fn the_default_is_measured_to_the_end_even_if_it_is_the_slowest() {
        let (won, lanes, _) = run(&[50.0, 12.0, 9.0, 14.0, 11.0], usize::MAX);
        assert_eq!(won.unwrap().0, 2);
        assert_eq!((lanes[0].rounds.len(), lanes[0].outcome.clone()), (3, Some(Outcome::Lost)));
    }

    #[test]
    fn a_lead_within_the_noise_is_none() {
        let (won, lanes, _) = run(&[10.0, 9.95, 10.5], usize::MAX);
        assert_eq!(won.unwrap().0, 0);
        assert_eq!(lanes[0].outcome, Some(Outcome::Won));
        assert_eq!(lanes[1].outcome, Some(Outcome::Lost));
    }

    #[test]
    fn a_lane_that_falls_is_out_with_its_reason() {
        let (won, lanes, _) = run(&[10.0, -1.0, 9.0], usize::MAX);
        assert_eq!(won.unwrap().0, 2);
        assert_eq!(lanes[1].outcome, Some(Outcome::Failed { why: "it fell".into() }));
        let mut lanes = vec![Lane::default(); 2];
        assert_eq!(contest(&mut lanes, |_| Err::<f32, _>("gone"), || false, |_| {}), Err("gone"));
    }

    #[test]
    fn what_is_out_before_does_not_start() {
        let mut lanes = vec![Lane::default(); 3];
        lanes[1].outcome = Some(Outcome::Wrong { why: "NaN".into() });
        let won = contest(&mut lanes, |i| Ok::<_, String>([3.0, 1.0, 2.0][i]), || false, |_| {}).unwrap();
        assert_eq!(won, Some((2, 3.0, 2.0)));
        assert!(lanes[1].rounds.is_empty());
    }

    #[test]
    fn time_that_is_over_settles_on_the_last_whole_round() {
        let (won, lanes, _) = run(&[10.0, 8.0, 12.0], 9 + 4);
        assert_eq!(won.unwrap().0, 1);
        assert_eq!(lanes[1].rounds.len(), 1);
        let (won, lanes, launches) = run(&[10.0, 8.0, 12.0], 3);
        assert_eq!((won, launches), (None, 3));
        assert!(lanes.iter().all(|lane| lane.outcome.is_none()));
    }

    #[test]
    fn a_duel_is_fair_to_both() {
        let (mut first, mut count) = ([0, 0], [0, 0]);
        let medians = duel(|lane| {
            first[lane] += usize::from(count[0] == count[1]);
            count[lane] += 1;
            // The first launches are slow, and every third is disturbed.
            let disturbed = if count[lane] <= UNCOUNTED || count[lane] % 3 == 0 { 10.0 } else { 0.0 };
            Ok::<_, String>([2.0, 3.0][lane] + disturbed)
        });
        assert_eq!(medians, Ok([2.0, 3.0]));
        assert_eq!(count, [UNCOUNTED + DUEL; 2]);
        assert_eq!(first, [(UNCOUNTED + DUEL) / 2; 2]);
        assert_eq!(duel(|lane| if lane == 1 { Err("gone") } else { Ok(1.0) }), Err("gone"));
    }

    #[test]
    fn a_lone_default_wins() {
        assert_eq!(run(&[10.0], usize::MAX).0.unwrap().0, 0);
    }
}
