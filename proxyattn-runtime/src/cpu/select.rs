//! From scores and budgets to lists: one ranking for each row of a group, cut where its heads' budgets end.

use super::scorer::Scores;
use crate::memory::{filled, product, reserve, room};
use crate::{Geometry, Observer, Plan, Result, Selection, Stage};
use core::cmp::Ordering;
use rayon::prelude::*;

/// `counts` is how many blocks each head visits of each row, `[batch · head][row]`.
pub(super) fn select(
    plan: &Plan,
    scores: &Scores,
    counts: Vec<u32>,
    observer: &dyn Observer,
) -> Result<Selection> {
    let (geometry, problem, groups) = (plan.geometry(), plan.problem(), plan.groups());
    let (rows, heads) = (geometry.rows(), plan.heads_per_group());

    let of_heads = |list: usize| {
        let (sequence, row) = (list / rows, list % rows);
        let counts = &counts;
        (0..heads).map(move |i| counts[(sequence * heads + i) * rows + row] as usize)
    };

    let lists = product(&[problem.batch, groups, rows]);
    let mut starts = room("lists", lists.saturating_add(1))?;
    starts.push(0);
    starts.extend((0..lists).scan(0, |end, list| {
        *end += of_heads(list).max().unwrap_or(0);
        Some(*end)
    }));
    let mut blocks = filled("lists", starts[lists], 0u32)?;
    let (mut places, mut rest) = (room("lists", lists)?, &mut blocks[..]);
    for list in 0..lists {
        let (place, after) = rest.split_at_mut(starts[list + 1] - starts[list]);
        places.push(place);
        rest = after;
    }

    observer.begin(Stage::Select, lists);
    places.into_par_iter().enumerate().try_for_each_init(
        || (Vec::new(), Vec::new()),
        |(ranking, cuts), (list, place)| {
            cuts.clear();
            reserve("lists", cuts, heads)?;
            cuts.extend(of_heads(list));
            cuts.sort_unstable();
            cuts.dedup();
            let row = list % rows;
            rank(&geometry, row, scores.row(list / rows, row), cuts, ranking)?;
            place.copy_from_slice(&ranking[..place.len()]);
            observer.advance(Stage::Select, 1);
            Ok(())
        },
    )?;
    Ok(Selection { geometry, batch: problem.batch, heads: problem.heads, groups, starts, blocks, counts })
}

/// Whether one block of a row comes before another: the pinned ones first, by index whatever their scores, then by score, the
/// lower index where scores tie.
fn by_rank(geometry: &Geometry, row: usize, scores: &[f32]) -> impl Fn(&u32, &u32) -> Ordering {
    let is_pinned = geometry.pins(row);
    move |&a, &b| {
        let [i, j] = [a, b].map(|block| {
            let block = block as usize;
            if is_pinned(block) { (true, 0.0) } else { (false, scores[block]) }
        });
        j.0.cmp(&i.0).then(j.1.total_cmp(&i.1)).then(a.cmp(&b))
    }
}

/// The visible blocks of a row, the best first: what lists of one block after another would be.
pub(super) fn ranking(geometry: &Geometry, row: usize, scores: &[f32]) -> Result<Vec<u32>> {
    let mut ranking = room("lists", geometry.visible(row))?;
    ranking.extend(0..geometry.visible(row) as u32);
    ranking.sort_unstable_by(by_rank(geometry, row, scores));
    Ok(ranking)
}

/// The visible blocks of a row, the best `cuts.last()` of them first. From one cut to the next they ascend.
fn rank(
    geometry: &Geometry,
    row: usize,
    scores: &[f32],
    cuts: &[usize],
    ranking: &mut Vec<u32>,
) -> Result<()> {
    let (visible, by_rank) = (geometry.visible(row), by_rank(geometry, row, scores));
    ranking.clear();
    reserve("lists", ranking, visible)?;
    ranking.extend(0..visible as u32);
    let mut end = visible;
    // Each cut splits what is left of the next larger one: no more of the ranking is sorted than is asked for.
    for &cut in cuts.iter().rev() {
        if cut < end {
            ranking[..end].select_nth_unstable_by(cut, &by_rank);
        }
        ranking[cut..end].sort_unstable();
        end = cut;
    }
    ranking[..end].sort_unstable();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;
    use proxyattn_codegen::Spec;

    #[test]
    fn lists_are_nested_and_ascend_between_cuts() {
        let problem = Problem { batch: 1, heads: 1, kv_heads: 1, q_len: 640, kv_len: 640 };
        let geometry = Geometry::new(&Spec::DEFAULT, &problem);
        let scores = [-9.0, -1.0, -5.0, -2.0, -2.0, -8.0, -3.0, -7.0, -4.0, -6.0];
        let ranked = |geometry: &Geometry, row: usize, scores: &[f32], cuts: &[usize]| {
            let mut ranking = vec![77]; // what another row left
            rank(geometry, row, scores, cuts, &mut ranking).unwrap();
            ranking.truncate(*cuts.last().unwrap());
            ranking
        };
        // Rank: 0 and 9 pinned, then 1, 3, 4 (tied with 3), 6, 8, 2, 7, 5.
        assert_eq!(ranked(&geometry, 9, &scores, &[10]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(ranked(&geometry, 9, &scores, &[4]), [0, 1, 3, 9]);
        assert_eq!(ranked(&geometry, 9, &scores, &[2, 4, 7]), [0, 9, 1, 3, 4, 6, 8]);
        assert_eq!(ranked(&geometry, 0, &scores, &[1]), [0]);
        assert_eq!(ranking(&geometry, 9, &scores).unwrap(), [0, 9, 1, 3, 4, 6, 8, 2, 7, 5]);
    }
}
