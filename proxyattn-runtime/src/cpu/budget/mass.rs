//! The mass of each block: what the probabilities of a head's last `min(block.q, q_len)` queries on its keys add up to, each
//! times the weight of its key.

use super::Seen;
use super::norms::Norms;
use crate::cpu::last::{LastQueries, Partial};
use crate::cpu::simd::{Kernel, PANEL, Row, Simd, dispatch};
use crate::cpu::tile::{self, MASKED};
use crate::memory::{filled, product};
use crate::{Element, Observer, Result, Stage};
use proxyattn_codegen::Weigh;
use rayon::prelude::*;

/// The masses of the last row's blocks for each head.
pub(super) struct Masses {
    /// `[batch · head][block]`.
    data: Vec<f64>,
    blocks: usize,
}

impl Masses {
    pub(super) fn measure<T: Element>(
        seen: &Seen<'_, T>,
        weigh: Weigh,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let Seen { plan, inputs, keys, .. } = *seen;
        let scale = seen.scale.queries;
        let (problem, geometry) = (plan.problem(), plan.geometry());
        let blocks = geometry.visible(geometry.rows() - 1);
        let queries = (plan.spec().block.q as usize).min(problem.q_len);
        let norms = match weigh {
            Weigh::None => None,
            Weigh::Values => Some(Norms::of(&inputs.v, plan.spec().block.kv as usize)?),
        };

        let heads = problem.batch * problem.heads;
        let mut data = filled("budgets", product(&[heads, blocks]), 0.0)?;
        observer.begin(Stage::Budget, heads);
        data.par_chunks_mut(blocks).enumerate().try_for_each(|(i, masses)| {
            let (batch, head) = (i / problem.heads, i % problem.heads);
            let last = LastQueries::of("budgets", inputs, (batch, head), queries, scale)?;
            let kv_head = batch * problem.kv_heads + head / problem.heads_per_kv();
            let weights = norms.as_ref().map(|norms| norms.of_head(kv_head));
            let partials =
                last.partials("budgets", plan, (keys, kv_head), weights, (blocks, &|block| block))?;
            dispatch(Sum { partials: &partials.data, panels: partials.panels, queries, masses });
            observer.advance(Stage::Budget, 1);
            Ok(())
        })?;
        Ok(Self { data, blocks })
    }

    /// How many heads there are, of all sequences.
    pub(super) fn heads(&self) -> usize {
        self.data.len() / self.blocks
    }

    /// The mass of each block for a head, `batch · heads + head`.
    pub(super) fn of_head(&self, head: usize) -> &[f64] {
        &self.data[head * self.blocks..][..self.blocks]
    }
}

/// Adds up the masses of each block over the queries. Those of a query, unweighed, sum to 1.
struct Sum<'a> {
    /// `[block][panel]`.
    partials: &'a [Partial],
    panels: usize,
    queries: usize,
    masses: &'a mut [f64],
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for panel in 0..self.panels {
            let of_blocks = || self.partials.iter().skip(panel).step_by(self.panels);
            let lanes = PANEL.min(self.queries - panel * PANEL);
            let (mut max, mut total) = ([MASKED; PANEL], [0.0; PANEL]);
            of_blocks().for_each(|partial| max = tile::row_max(s, core::slice::from_ref(&partial.max), &max));
            of_blocks().for_each(|partial| total = add_parts(s, &total, partial, &max, &partial.sum));
            for (mass, partial) in self.masses.iter_mut().zip(of_blocks()) {
                let parts = add_parts(s, &[0.0; PANEL], partial, &max, &partial.weighed);
                let shares = parts.iter().zip(&total).map(|(&part, &total)| f64::from(part / total));
                *mass += shares.take(lanes).sum::<f64>();
            }
        }
    }
}

/// `total` and, of each query, what a block's `sum` is under `max`.
#[inline(always)]
fn add_parts<S: Simd>(s: S, total: &Row, partial: &Partial, max: &Row, sum: &Row) -> Row {
    let mut out = [0.0; PANEL];
    for i in 0..PANEL / S::LANES {
        let factor = s.exp2(s.sub(s.load(&partial.max, i), s.load(max, i)));
        s.store(&mut out, i, s.fma(factor, s.load(sum, i), s.load(total, i)));
    }
    out
}
