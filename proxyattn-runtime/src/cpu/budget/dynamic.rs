//! Dynamic budgets: how many blocks hold γ of the softmax mass of a head's own last queries.
//!
//! ProxyAttn (arXiv 2509.24745), Algorithm 1: the mass of a block is the sum over the last `min(block.q, q_len)`
//! queries of their probabilities on its keys; the budget is the fewest blocks whose mass reaches γ.

use super::Seen;
use crate::cpu::pack::{Keys, pack_queries};
use crate::cpu::simd::{Kernel, PANEL, Row, Simd, dispatch};
use crate::cpu::tile::{self, MASKED};
use crate::memory::{filled, product};
use crate::{Element, Observer, Plan, Result, Stage, inputs::Inputs};
use proxyattn_codegen::Share;
use rayon::prelude::*;

/// Parts of a query's mass: masses are counted in whole ones, so that whether they reach a share depends neither on the order
/// in which they are added nor on how the share is rounded.
const PARTS: f64 = (1u64 << 48) as f64;

/// Blocks in one piece of work.
const BLOCKS_PER_UNIT: usize = 32;

/// A block's softmax under its own maximum, for one panel of queries.
#[derive(Clone, Copy)]
struct Partial {
    max: Row,
    sum: Row,
}

/// The budget of each head on the last row of blocks: `[batch · head]`.
pub(super) fn measure<T: Element>(
    seen: &Seen<'_, T>,
    gamma: Share,
    observer: &dyn Observer,
) -> Result<Vec<usize>> {
    let Seen { plan, inputs, keys, .. } = *seen;
    let scale = seen.scale.queries;
    let (problem, geometry) = (plan.problem(), plan.geometry());
    let dim = plan.spec().head_dim as usize;
    let blocks = geometry.visible(geometry.rows() - 1);
    let queries = (plan.spec().block.q as usize).min(problem.q_len);
    let first_query = problem.q_len - queries;
    let panels = queries.div_ceil(PANEL);

    let mut counts = filled("budgets", product(&[problem.batch, problem.heads]), 0)?;
    observer.begin(Stage::Budget, counts.len());
    counts
        .par_iter_mut()
        .enumerate()
        .try_for_each(|(i, count)| {
            let (batch, head) = (i / problem.heads, i % problem.heads);
            let mut q = filled("budgets", panels * dim, [0.0; PANEL])?;
            dispatch(PackQueries { inputs, batch, head, first_query, scale, q: &mut q });
            let kv_head = batch * problem.kv_heads + head / problem.heads_per_kv();
            let nothing = Partial { max: [MASKED; PANEL], sum: [0.0; PANEL] };
            let mut partials = filled("budgets", blocks * panels, nothing)?;
            partials.par_chunks_mut(BLOCKS_PER_UNIT * panels).enumerate().for_each(|(unit, partials)| {
                let first_block = unit * BLOCKS_PER_UNIT;
                dispatch(Unit { plan, keys, kv_head, q: &q, first_query, first_block, partials });
            });
            *count = fewest_blocks(&mut block_masses(&partials, panels, queries)?, gamma);
            observer.advance(Stage::Budget, 1);
            Ok(())
        })
        .map(|()| counts)
}

/// The last queries of one head, as panels.
struct PackQueries<'a, T> {
    inputs: &'a Inputs<'a, T>,
    batch: usize,
    head: usize,
    first_query: usize,
    scale: f32,
    /// `[panel][dim][32]`.
    q: &'a mut [Row],
}

impl<T: Element> Kernel for PackQueries<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [_, _, q_len, dim] = self.inputs.q.shape();
        for (panel, q) in self.q.chunks_exact_mut(dim).enumerate() {
            let tokens = self.first_query + panel * PANEL..q_len;
            pack_queries(s, q, &self.inputs.q, (self.batch, self.head), tokens, self.scale);
        }
    }
}

/// Some blocks of keys against the last queries of one head.
struct Unit<'a> {
    plan: &'a Plan,
    keys: &'a Keys,
    kv_head: usize,
    /// `[panel][dim][32]`.
    q: &'a [Row],
    first_query: usize,
    first_block: usize,
    /// `[block][panel]`.
    partials: &'a mut [Partial],
}

impl Kernel for Unit<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (spec, geometry) = (self.plan.spec(), self.plan.geometry());
        let dim = spec.head_dim as usize;
        let block = spec.block.kv as usize;
        let panels = self.q.len() / dim;

        let mut buffer = vec![[0.0; PANEL]; block];
        for (i, partials) in self.partials.chunks_exact_mut(panels).enumerate() {
            let first = (self.first_block + i) * block;
            let keys = self.keys.range(self.kv_head, first, block);
            for ((panel, q), partial) in self.q.chunks_exact(dim).enumerate().zip(partials) {
                let token = self.first_query + panel * PANEL;
                let limits = std::array::from_fn(|lane| geometry.seen(token + lane) as u32);
                tile::scores(s, keys, q, &mut buffer);
                if (limits[0] as usize) < first + block {
                    tile::mask(&mut buffer, first, &limits);
                }
                partial.max = tile::row_max(s, &buffer, &partial.max);
                partial.sum = tile::sum_exp(s, &buffer, &partial.max);
            }
        }
    }
}

/// The mass of each block, summed over the queries. A query's masses sum to 1.
fn block_masses(partials: &[Partial], panels: usize, queries: usize) -> Result<Vec<f64>> {
    let mut masses = filled("budgets", partials.len() / panels, 0.0)?;
    for query in 0..queries {
        let (panel, lane) = (query / PANEL, query % PANEL);
        let of_query = || {
            partials
                .iter()
                .skip(panel)
                .step_by(panels)
                .map(|p| (f64::from(p.max[lane]), f64::from(p.sum[lane])))
        };
        let max = of_query().fold(f64::NEG_INFINITY, |max, (m, _)| max.max(m));
        let total: f64 = of_query().map(|(m, sum)| (m - max).exp2() * sum).sum();
        for (mass, (m, sum)) in masses.iter_mut().zip(of_query()) {
            *mass += (m - max).exp2() * sum / total;
        }
    }
    Ok(masses)
}

/// The fewest masses whose sum reaches `gamma` of the whole; the masses are sorted.
fn fewest_blocks(masses: &mut [f64], gamma: Share) -> usize {
    masses.sort_unstable_by(|a, b| b.total_cmp(a));
    let parts = |mass: &f64| (mass * PARTS) as u64;
    let wanted = gamma.of_count(masses.iter().map(parts).sum());
    let mut sum = 0;
    masses
        .iter()
        .position(|mass| {
            sum += parts(mass);
            sum >= wanted
        })
        .map_or(masses.len(), |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::fewest_blocks;
    use proxyattn_codegen::Share;

    #[test]
    fn a_budget_is_a_count() {
        let count = |gamma| fewest_blocks(&mut [0.05, 0.6, 0.05, 0.3], Share::of(gamma));
        assert_eq!([0.5, 0.6, 0.61, 0.92, 1.0].map(count), [1, 1, 2, 3, 4]);
    }

    #[test]
    fn equal_masses_are_counted_exactly() {
        for blocks in [10u32, 50, 100, 1000] {
            let mut masses = vec![64.0 / f64::from(blocks); blocks as usize];
            for n in 1..=blocks {
                let gamma = Share::of(f64::from(n) / f64::from(blocks));
                assert_eq!(fewest_blocks(&mut masses, gamma), n as usize, "{n} of {blocks}");
            }
        }
    }
}
