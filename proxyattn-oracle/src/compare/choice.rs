//! Whether lists hold the blocks that the reference ranks highest.

use super::ties::relative_gap;
use super::{Agreement, Lists, Ties, counts};
use crate::{Oracle, Scores};

/// Compares every list of `selection` with what the reference selects.
pub fn selection(oracle: &Oracle, selection: &dyn Lists) -> Agreement {
    lists(oracle, selection, &Ties::EXACT)
}

/// Compares every list with what the reference selects.
pub fn lists(oracle: &Oracle, selection: &dyn Lists, ties: &Ties) -> Agreement {
    let mut agreement = Agreement::default();
    for batch in 0..oracle.batch {
        counts::compare(oracle, selection, batch, ties, &mut agreement);
        for group in 0..oracle.groups {
            for row in 0..oracle.rows() {
                let scores = oracle.row_scores(batch, group, row);
                compare_lists(oracle, selection, [batch, group, row], (scores, ties), &mut agreement);
            }
        }
    }
    agreement
}

fn compare_lists(
    oracle: &Oracle,
    given: &dyn Lists,
    [batch, group, row]: [usize; 3],
    (scores, ties): (&Scores, &Ties),
    into: &mut Agreement,
) {
    let ranking = oracle.ranking(row, scores);
    let pinned = ranking.iter().filter(|&&block| oracle.is_pinned(row, block)).count();
    let size = oracle.heads / oracle.groups;
    for head in group * size..(group + 1) * size {
        let blocks = given.blocks(batch, head, row);
        into.lists += 1;
        into.decided += usize::from(pinned < blocks.len() && blocks.len() < ranking.len());
        let chosen = |block: usize| blocks.contains(&(block as u32));
        let (best, rest) = ranking.split_at(blocks.len().min(ranking.len()));
        let missing: Vec<usize> = best.iter().copied().filter(|&block| !chosen(block)).collect();
        let extra: Vec<usize> = rest.iter().copied().filter(|&block| chosen(block)).collect();
        let (Some(highest), Some(lowest)) = (
            missing.iter().copied().max_by(|&a, &b| scores[a].total_cmp(&scores[b])),
            extra.iter().copied().min_by(|&a, &b| scores[a].total_cmp(&scores[b])),
        ) else {
            // What takes the place of a missing block is no block of the row, or is in the list already.
            if !missing.is_empty() {
                into.faults.push(format!(
                    "batch {batch} head {head} row {row}: {missing:?} are missing in {blocks:?}"
                ));
            }
            continue;
        };
        let gap = relative_gap(scores[highest], scores[lowest]);
        into.swapped += 1;
        into.widen(gap, gap);
        let lacks_pinned = missing.iter().any(|&block| oracle.is_pinned(row, block));
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !ties.excuse(scores[highest], scores[lowest], top) || lacks_pinned {
            into.faults.push(format!(
                "batch {batch} head {head} row {row}: {} of {} blocks are not the reference's; it has {missing:?}, \
                 not {extra:?}; log-scores {:.9} and {:.9}, relative gap {gap:.1e}",
                missing.len(),
                blocks.len(),
                scores[highest],
                scores[lowest]
            ));
        }
    }
}
