//! From scores and budgets to lists: one ranking for each row of a group, cut where its heads' budgets end.

use super::score::Scores;
use crate::{Geometry, Observer, Plan, Selection, Stage};
use core::cmp::Ordering;
use rayon::prelude::*;

/// `measured` is each head's dynamic budget on the last row, `[batch · head]`; empty where the budget is none.
pub(super) fn select(plan: &Plan, scores: &Scores, measured: &[usize], observer: &dyn Observer) -> Selection {
    let (geometry, problem, groups) = (plan.geometry(), plan.problem(), plan.groups());
    let (rows, heads) = (geometry.rows(), plan.heads_per_group());

    let counts: Vec<u32> = (0..problem.batch * problem.heads)
        .flat_map(|head| {
            let measured = measured.get(head).copied().unwrap_or(0);
            (0..rows).map(move |row| geometry.count(&plan.spec().budget, measured, row) as u32)
        })
        .collect();

    observer.begin(Stage::Select, problem.batch * groups);
    let lists: Vec<Vec<u32>> = (0..problem.batch * groups)
        .into_par_iter()
        .flat_map(|sequence| {
            let counts = &counts;
            let lists = (0..rows).into_par_iter().map(move |row| {
                let of_head = |i| counts[(sequence * heads + i) * rows + row] as usize;
                let mut cuts: Vec<_> = (0..heads).map(of_head).collect();
                cuts.sort_unstable();
                cuts.dedup();
                ranked(&geometry, row, scores.row(sequence, row), &cuts)
            });
            observer.advance(Stage::Select, 1);
            lists
        })
        .collect();

    let mut starts = vec![0];
    starts.extend(lists.iter().scan(0, |end, list| {
        *end += list.len();
        Some(*end)
    }));
    Selection {
        geometry,
        batch: problem.batch,
        heads: problem.heads,
        groups,
        starts,
        blocks: lists.concat(),
        counts,
    }
}

/// The best `cuts.last()` visible blocks of a row: the pinned ones, then by score, the lower index where scores
/// tie. From one cut to the next they ascend.
fn ranked(geometry: &Geometry, row: usize, scores: &[f32], cuts: &[usize]) -> Vec<u32> {
    let visible = geometry.visible(row);
    let pinned: Vec<bool> = (0..visible).map(|block| geometry.is_pinned(row, block)).collect();
    let by_rank = |&a: &u32, &b: &u32| -> Ordering {
        let (i, j) = (a as usize, b as usize);
        pinned[j].cmp(&pinned[i]).then(scores[j].total_cmp(&scores[i])).then(a.cmp(&b))
    };
    let mut list: Vec<u32> = (0..visible as u32).collect();
    let mut end = visible;
    // Each cut splits what is left of the next larger one: no more of the ranking is sorted than is asked for.
    for &cut in cuts.iter().rev() {
        if cut < end {
            list[..end].select_nth_unstable_by(cut, by_rank);
        }
        list[cut..end].sort_unstable();
        end = cut;
    }
    list[..end].sort_unstable();
    list.truncate(cuts.last().copied().unwrap_or(0));
    list
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
        // Rank: 0 and 9 pinned, then 1, 3, 4 (tied with 3), 6, 8, 2, 7, 5.
        assert_eq!(ranked(&geometry, 9, &scores, &[10]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(ranked(&geometry, 9, &scores, &[4]), [0, 1, 3, 9]);
        assert_eq!(ranked(&geometry, 9, &scores, &[2, 4, 7]), [0, 9, 1, 3, 4, 6, 8]);
        assert_eq!(ranked(&geometry, 0, &scores, &[1]), [0]);
    }
}
