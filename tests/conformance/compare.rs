//! What counts as agreement with the reference, stated once for every suite.

use crate::oracle::{Oracle, Scores};
use core::f64::consts::LN_2;
use core::fmt;
use proxyattn::codegen::{Budget, Dtype, Spec};
use proxyattn::{Element, Selection};

/// Relative L2 distance of an output to the reference. Rounding to bf16 alone costs 1.7e-3, to f16 2.1e-4.
const fn output_limit(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F16 => 5e-4,
        Dtype::Bf16 => 2e-3,
    }
}

/// How many times farther a single token may be, whose rounding errors do not average out.
const TOKEN: f64 = 4.0;
/// A dynamic count may differ while the share of the mass at the boundary is this close to γ.
const MASS: f64 = 1e-5;

/// When two blocks may change places.
pub(crate) struct Ties {
    /// Their log-scores differ by this much of the larger one (or of 1) ...
    relative: f64,
    /// ... or by so many nats ...
    nats: f64,
    /// ... or both lie more nats below the best block of the row.
    depth: f64,
}

impl Ties {
    /// What rounding in f32 does to logits of some tens.
    pub(crate) const EXACT: Self = Self { relative: 1e-6, nats: 0.0, depth: f64::INFINITY };

    /// Logits of this size, which f32 rounds and adds up, and whose maxima are kept in steps of 1/64 in log2 within 980
    /// of the best.
    pub(crate) fn of_size(nats: f64) -> Self {
        Self { nats: LN_2 / 64.0 + nats.abs() * 2f64.powi(-20), depth: 980.0 * LN_2, ..Self::EXACT }
    }

    fn excuse(&self, a: f64, b: f64, best: f64) -> bool {
        relative_gap(a, b) <= self.relative || (a - b).abs() <= self.nats || best - a.max(b) > self.depth
    }
}

/// Lists and counts of a prefill, whoever made them.
pub(crate) trait Lists {
    /// How many blocks a head visits in a row.
    fn count(&self, batch: usize, head: usize, row: usize) -> usize;
    /// These blocks.
    fn blocks(&self, batch: usize, head: usize, row: usize) -> &[u32];
}

impl Lists for Selection {
    fn count(&self, batch: usize, head: usize, row: usize) -> usize {
        self.count(batch, head, row)
    }

    fn blocks(&self, batch: usize, head: usize, row: usize) -> &[u32] {
        self.blocks(batch, head, row)
    }
}

/// How far a selection is from the reference's.
#[derive(Default)]
pub(crate) struct Agreement {
    /// (batch, head, row) lists that were compared.
    pub(crate) lists: usize,
    /// Those in which scores decide: more blocks than the pinned ones, and fewer than all.
    pub(crate) decided: usize,
    /// Lists whose blocks differ from the reference's.
    pub(crate) swapped: usize,
    /// Heads whose measured budget differs.
    pub(crate) recounted: usize,
    /// Over the differing lists, the smallest and the largest distance of the swapped blocks' log-scores,
    /// as a share.
    pub(crate) gaps: Option<(f64, f64)>,
    /// What no tolerance excuses.
    pub(crate) faults: Vec<String>,
}

impl Agreement {
    pub(crate) fn faultless(self) -> Result<Self, String> {
        match self.faults.first() {
            Some(first) => Err(format!("{first} ({} such faults)", self.faults.len())),
            None => Ok(self),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.lists += other.lists;
        self.decided += other.decided;
        self.swapped += other.swapped;
        self.recounted += other.recounted;
        other.gaps.into_iter().for_each(|(low, high)| self.widen(low, high));
        self.faults.extend(other.faults);
    }

    fn widen(&mut self, low: f64, high: f64) {
        let (l, h) = self.gaps.unwrap_or((low, high));
        self.gaps = Some((l.min(low), h.max(high)));
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lists, decided, swapped, recounted, faults, .. } = self;
        write!(f, "{lists} lists ({decided} by score), {swapped} with swapped blocks")?;
        write!(f, ", {recounted} heads with another count")?;
        if let Some((low, high)) = self.gaps {
            write!(f, ", relative gaps {low:.1e} to {high:.1e}")?;
        }
        write!(f, ", {} beyond tolerance", faults.len())
    }
}

/// Compares every list of `selection` with what the reference selects.
pub(crate) fn selection(spec: &Spec, oracle: &Oracle, selection: &Selection) -> Agreement {
    lists(spec, oracle, selection, &Ties::EXACT)
}

/// Compares every list with what the reference selects.
pub(crate) fn lists(spec: &Spec, oracle: &Oracle, selection: &impl Lists, ties: &Ties) -> Agreement {
    let mut agreement = Agreement::default();
    let scores = oracle.scores();
    for batch in 0..oracle.batch {
        for head in 0..oracle.heads {
            compare_counts(spec, oracle, selection, batch, head, &mut agreement);
        }
        for group in 0..oracle.groups {
            for row in 0..oracle.rows() {
                let scores = &scores[(batch * oracle.groups + group) * oracle.rows() + row];
                compare_lists(oracle, selection, [batch, group, row], (scores, ties), &mut agreement);
            }
        }
    }
    agreement
}

/// One measured budget, within tolerance of γ, must explain the counts of all rows of a head.
fn compare_counts(
    spec: &Spec,
    oracle: &Oracle,
    given: &impl Lists,
    batch: usize,
    head: usize,
    into: &mut Agreement,
) {
    let explains = |measured: usize| {
        (0..oracle.rows()).find(|&row| given.count(batch, head, row) != oracle.count(measured, row))
    };
    let gamma = match spec.budget {
        Budget::Dynamic { gamma, .. } => gamma,
        Budget::TopK { .. } | Budget::Ratio { .. } | Budget::All => {
            if let Some(row) = explains(0) {
                let (got, expected) = (given.count(batch, head, row), oracle.count(0, row));
                into.faults
                    .push(format!("batch {batch} head {head} row {row}: {got} blocks instead of {expected}"));
            }
            return;
        }
    };
    let mass = oracle.mass(batch, head);
    let measured = Oracle::fewest(&mass, gamma);
    let Some(row) = explains(measured) else { return };
    let near = Oracle::fewest(&mass, gamma - MASS)..=Oracle::fewest(&mass, gamma + MASS);
    if near.clone().any(|other| explains(other).is_none()) {
        into.recounted += 1;
    } else {
        let (got, expected) = (given.count(batch, head, row), oracle.count(measured, row));
        into.faults.push(format!(
            "batch {batch} head {head} row {row}: {got} blocks instead of {expected} \
             (mass says {measured}, within tolerance {near:?})"
        ));
    }
}

fn compare_lists(
    oracle: &Oracle,
    given: &impl Lists,
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

fn relative_gap(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()).max(1.0) }
}

/// What every selection must be, whatever the scores: nested lists of visible blocks, each once, ascending
/// between one head's count and the next, with the pinned blocks inside every head's prefix.
pub(crate) fn structure(oracle: &Oracle, selection: &Selection) -> Result<(), String> {
    let size = oracle.heads / oracle.groups;
    for batch in 0..oracle.batch {
        for (group, row) in (0..oracle.groups).flat_map(|g| (0..oracle.rows()).map(move |row| (g, row))) {
            let list = selection.list(batch, group, row);
            let fault =
                |what: &str| Err(format!("batch {batch} group {group} row {row}: {what} in {list:?}"));
            let visible = oracle.visible(row);
            let mut counts: Vec<usize> =
                (group * size..(group + 1) * size).map(|head| selection.count(batch, head, row)).collect();
            counts.sort_unstable();
            let (fewest, most) = (counts[0], counts[size - 1]);
            if list.len() != most {
                return fault(&format!("{} blocks for counts {counts:?}", list.len()));
            }
            if list.iter().any(|&block| block as usize >= visible) {
                return fault(&format!("a block beyond the {visible} visible ones"));
            }
            let mut start = 0;
            for end in counts {
                if !list[start..end].is_sorted_by(|a, b| a < b) {
                    return fault(&format!("no ascending order in {start}..{end}"));
                }
                start = end;
            }
            if (1..list.len()).any(|i| list[..i].contains(&list[i])) {
                return fault("a block that comes twice");
            }
            let dropped = (0..visible)
                .find(|&block| oracle.is_pinned(row, block) && !list[..fewest].contains(&(block as u32)));
            if let Some(block) = dropped {
                return fault(&format!("pinned block {block} outside of the first {fewest}"));
            }
        }
    }
    Ok(())
}

/// Relative L2 distance, over everything and of the worst token of `dim` elements.
pub(crate) fn distance<T: Element>(got: &[T], expected: &[f64], dim: usize) -> (f64, f64) {
    assert_eq!(got.len(), expected.len());
    let (mut error, mut norm, mut worst) = (0.0, 0.0, 0.0f64);
    for (got, expected) in got.chunks_exact(dim).zip(expected.chunks_exact(dim)) {
        let e: f64 = got.iter().zip(expected).map(|(g, e)| (f64::from(g.to_f32()) - e).powi(2)).sum();
        let n: f64 = expected.iter().map(|e| e * e).sum();
        worst = worst.max((e / n).sqrt());
        error += e;
        norm += n;
    }
    ((error / norm).sqrt(), worst)
}

/// Whether an output is as close to the reference as rounding allows.
pub(crate) fn output<T: Element>(got: &[T], expected: &[f64], dim: usize) -> Result<f64, String> {
    let (limit, (all, worst)) = (output_limit(T::DTYPE), distance(got, expected, dim));
    if all <= limit && worst <= TOKEN * limit {
        return Ok(all);
    }
    Err(format!(
        "output is {all:.2e} from the reference, its worst token {worst:.2e} (limit {limit:.0e}, ×{TOKEN})"
    ))
}
