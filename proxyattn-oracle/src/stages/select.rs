//! What `select` leaves, for any scorer and budget.

use super::Buffers;
use crate::{Scores, in_order_of_cuts};
use proxyattn_codegen::cuda::Scratch;
use proxyattn_codegen::{OfLayer, Place};

impl Buffers<'_> {
    /// The count that was measured for a head and row; or what follows from the layer; 0 where there is neither.
    pub(crate) fn measured(&self) -> impl Fn(usize, usize, usize) -> usize {
        let found = self.spec().budget.measures().map(|layout| (layout, self.words(Scratch::Measured)));
        let (spec, shape) = (*self.spec(), self.shape);
        let of_layer = spec.budget.of_layer().map(|of_layer| (of_layer, self.words(of_layer.scratch())));
        let kv_len = self.grid.kv_len as i64;
        move |batch, head, row| {
            match &of_layer {
                Some((OfLayer::Shares(_), shares)) => return shares[head] as usize,
                Some((OfLayer::Spans, spans)) => {
                    let [alpha, beta] = [0, 1].map(|i| spans[head * 2 + i]);
                    let tokens = i64::from(alpha as i32) + i64::from(beta) * kv_len / 1_000_000;
                    return usize::try_from(tokens).unwrap_or(0);
                }
                None => {}
            }
            let place = Place { batch: batch as u64, head: head as u64, row: row as u64 };
            found
                .as_ref()
                .map_or(0, |(layout, words)| words[layout.at(&spec, &shape, place) as usize] as usize)
        }
    }

    /// How many blocks of a row `select` keeps by scores, if it does: what no sample sees has none.
    fn kept(&self, row: usize, mut scores: Scores) -> Option<usize> {
        let scored = self.grid.scored(row);
        scores.iter_mut().skip(scored).for_each(|score| *score = f64::NEG_INFINITY);
        self.grid.kept(row, &scores)
    }

    /// Lists and counts, exactly: the ranking is by f32 scores, and its arithmetic is two operations.
    pub fn select(&self) {
        let grid = self.grid;
        let (rows, blocks, groups) = (grid.rows(), grid.blocks(), grid.groups);
        let heads = grid.heads / groups;
        let (lists, counts) = (self.words(Scratch::Lists), self.words(Scratch::Counts));
        let (samples, measured) = (self.samples(), self.measured());
        for sequence in 0..grid.batch * groups {
            for row in 0..rows {
                let at = sequence * rows + row;
                let scores = self.scores(&samples, sequence, row);
                let (ranking, kept) = (grid.ranking(row, &scores), self.kept(row, scores));
                let mut wanted = Vec::new();
                for head in sequence * heads..(sequence + 1) * heads {
                    let measured = || measured(head / grid.heads, head % grid.heads, row);
                    let want = grid.count(kept.unwrap_or_else(measured), row);
                    assert_eq!(counts[head * rows + row] as usize, want, "count of head {head}, row {row}");
                    wanted.push(want);
                }
                let want = in_order_of_cuts(&ranking, &wanted);
                let got = &lists[at * blocks..][..want.len()];
                assert_eq!(got, want, "list {sequence}, row {row}, counts {wanted:?}");
                assert_eq!(self.has(Scratch::Runs), self.spec().budget.differs_within_group());
                if self.has(Scratch::Runs) {
                    let fewest = wanted.iter().min().copied();
                    assert_eq!(Some(self.words(Scratch::Runs)[at] as usize), fewest, "run of {at}");
                }
            }
        }
    }
}
