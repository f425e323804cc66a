//! The scorer `vertical_slash`: the larger of what a block's column and its diagonal hold of the last queries' attention.

use super::{Contract, Prepared, Scores, log2_sum};
use crate::cpu::inputs::Scale;
use crate::cpu::last::LastQueries;
use crate::cpu::pack::Keys;
use crate::cpu::simd::PANEL;
use crate::inputs::Inputs;
use crate::memory::{filled, product, room};
use crate::{Element, Geometry, Observer, Plan, Result, Stage};
use proxyattn_codegen::VerticalSlash;
use rayon::prelude::*;

/// The last queries of every head, beside the keys.
struct Last<'a> {
    /// `[batch · head]`.
    queries: Vec<LastQueries>,
    keys: &'a Keys,
    rows: Rows,
}

/// Where the last queries are.
#[derive(Clone, Copy)]
struct Rows {
    first_query: usize,
    q_len: usize,
    block_q: usize,
    block_kv: usize,
}

impl Rows {
    fn first(&self) -> usize {
        self.first_query / self.block_q
    }

    /// Rows that the last queries are of.
    fn count(&self) -> usize {
        self.q_len.div_ceil(self.block_q) - self.first()
    }

    /// How many of the last queries are of a row.
    fn queries(&self, row: usize) -> usize {
        self.q_len.min((row + 1) * self.block_q) - self.first_query.max(row * self.block_q)
    }

    /// Those of the rows that lie in blocks of keys as `row` does.
    fn alike(&self, row: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        let Self { block_q, block_kv, .. } = *self;
        (self.first()..self.first() + self.count())
            .filter(move |other| (other.abs_diff(row) * block_q).is_multiple_of(block_kv))
    }

    /// The block that is as far from row `there` as `block` is from `row`, one of those [alike](Self::alike).
    fn moved(&self, block: usize, row: usize, there: usize) -> Option<usize> {
        (block + there * self.block_q / self.block_kv).checked_sub(row * self.block_q / self.block_kv)
    }
}

impl Contract for VerticalSlash {
    fn prepare<'a, T: Element>(
        &self,
        plan: &Plan,
        inputs: &Inputs<'_, T>,
        keys: &'a Keys,
        scale: Scale,
    ) -> Result<Box<dyn Prepared + 'a>> {
        let (problem, block) = (plan.problem(), plan.spec().block);
        let count = (self.last as usize).min(problem.q_len);
        let mut queries = room("scores", problem.batch * problem.heads)?;
        for head in 0..problem.batch * problem.heads {
            let head = (head / problem.heads, head % problem.heads);
            queries.push(LastQueries::of("scores", inputs, head, count, scale.queries)?);
        }
        let rows = Rows {
            first_query: problem.q_len - count,
            q_len: problem.q_len,
            block_q: block.q as usize,
            block_kv: block.kv as usize,
        };
        Ok(Box::new(Last { queries, keys, rows }))
    }
}

impl Prepared for Last<'_> {
    fn score(&self, plan: &Plan, observer: &dyn Observer) -> Result<Scores> {
        let (problem, geometry) = (plan.problem(), plan.geometry());
        let (rows, blocks) = (geometry.rows(), geometry.blocks());
        let sequences = problem.batch * plan.groups();
        let per_group = plan.heads_per_group();
        observer.begin(Stage::Score, problem.batch * problem.heads + sequences * rows);

        let mut masses = filled("scores", product(&[self.queries.len(), self.rows.count(), blocks]), 0.0)?;
        masses.par_chunks_mut(self.rows.count() * blocks).enumerate().try_for_each(|(head, masses)| {
            self.masses(plan, head, masses)?;
            observer.advance(Stage::Score, 1);
            Ok(())
        })?;
        let mut data = filled("scores", product(&[sequences, rows, blocks]), f32::NEG_INFINITY)?;
        data.par_chunks_mut(rows * blocks).enumerate().try_for_each(|(sequence, data)| {
            let of_group =
                masses.chunks(self.rows.count() * blocks).skip(sequence * per_group).take(per_group);
            let shares = Shares::of(self.rows, blocks, per_group, of_group)?;
            data.par_chunks_mut(blocks).enumerate().try_for_each(|(row, scores)| {
                shares.score(&geometry, row, scores)?;
                observer.advance(Stage::Score, 1);
                Ok(())
            })
        })?;
        Ok(Scores { data, rows, blocks })
    }
}

impl Last<'_> {
    /// The base-2 logarithms of what the queries of each row give to each block, `[row][block]`.
    fn masses(&self, plan: &Plan, head: usize, masses: &mut [f64]) -> Result<()> {
        let (problem, blocks) = (plan.problem(), plan.geometry().blocks());
        let kv_head = head / problem.heads_per_kv();
        let queries = &self.queries[head];
        let partials = queries.partials("scores", plan, (self.keys, kv_head), None, blocks)?;
        let count = self.rows.q_len - self.rows.first_query;
        // log₂ Σ 2^score over the keys of a block, and over all.
        let of_block = |query: usize, block: usize| {
            let partial = &partials[block * queries.panels() + query / PANEL];
            f64::from(partial.max[query % PANEL]) + f64::from(partial.sum[query % PANEL]).log2()
        };
        let mut sums = room("scores", count)?;
        sums.extend((0..count).map(|query| log2_sum((0..blocks).map(|block| of_block(query, block)))));
        for (row, masses) in masses.chunks_exact_mut(blocks).enumerate() {
            let row = self.rows.first() + row;
            let first = self.rows.first_query.max(row * self.rows.block_q) - self.rows.first_query;
            let of_row = first..first + self.rows.queries(row);
            for (block, mass) in masses.iter_mut().enumerate() {
                *mass = log2_sum(of_row.clone().map(|query| of_block(query, block) - sums[query]));
            }
        }
        Ok(())
    }
}

/// Logarithms of shares of a group's attention.
struct Shares {
    /// Of the last queries: `[block]`.
    verticals: Vec<f64>,
    /// What those of each row add to the share of a diagonal: `[row][block]`.
    slashes: Vec<f64>,
    rows: Rows,
}

impl Shares {
    /// Of the masses of so many heads.
    fn of<'a>(
        rows: Rows,
        blocks: usize,
        heads: usize,
        masses: impl Iterator<Item = &'a [f64]> + Clone,
    ) -> Result<Self> {
        let of_queries = |queries: usize| ((queries * heads) as f64).log2();
        let mut sums = room("scores", rows.count() * blocks)?;
        sums.extend((0..rows.count() * blocks).map(|i| log2_sum(masses.clone().map(|head| head[i]))));
        let mut verticals = room("scores", blocks)?;
        let all = of_queries(rows.q_len - rows.first_query);
        verticals.extend((0..blocks).map(|i| log2_sum(sums.iter().skip(i).step_by(blocks).copied()) - all));
        let mut slashes = sums;
        for (row, slashes) in slashes.chunks_exact_mut(blocks).enumerate() {
            let alike = of_queries(rows.alike(rows.first() + row).map(|row| rows.queries(row)).sum());
            slashes.iter_mut().for_each(|slash| *slash -= alike);
        }
        Ok(Self { verticals, slashes, rows })
    }

    /// Scores of a row's blocks: of what they weigh, as shares of the row.
    fn score(&self, geometry: &Geometry, row: usize, scores: &mut [f32]) -> Result<()> {
        let (rows, blocks) = (self.rows, self.verticals.len());
        let weight = |block: usize| {
            let there = rows.alike(row).filter_map(|other| {
                let moved = rows.moved(block, row, other).filter(|&moved| moved < blocks)?;
                Some(self.slashes[(other - rows.first()) * blocks + moved])
            });
            self.verticals[block].max(log2_sum(there))
        };
        let mut weights = room("scores", geometry.visible(row))?;
        weights.extend((0..geometry.visible(row)).map(weight));
        let sum = log2_sum(weights.iter().copied());
        for (score, weight) in scores.iter_mut().zip(weights) {
            *score = (weight - sum) as f32;
        }
        Ok(())
    }
}
