//! The mass of each block: what the probabilities of a head's last `min(block.q, q_len)` queries on its keys add up to, each
//! times the weight of its key.

use super::Seen;
use super::norms::Norms;
use crate::cpu::pack::{Keys, pack_queries};
use crate::cpu::simd::{Kernel, PANEL, Row, Simd, dispatch};
use crate::cpu::tile::{self, MASKED};
use crate::memory::{filled, product, room};
use crate::{Element, Observer, Plan, Result, Stage, inputs::Inputs};
use proxyattn_codegen::Weigh;
use rayon::prelude::*;

/// Blocks in one piece of work.
const BLOCKS_PER_UNIT: usize = 32;

/// A block's softmax under its own maximum, for one panel of queries.
#[derive(Clone, Copy)]
struct Partial {
    max: Row,
    sum: Row,
    /// The sum with each key's part times the weight of the key.
    weighed: Row,
}

impl Partial {
    const NOTHING: Self = Self { max: [MASKED; PANEL], sum: [0.0; PANEL], weighed: [0.0; PANEL] };
}

/// What some blocks weigh to the last queries of a head.
pub(super) struct Partials {
    /// `[block][panel]`.
    data: Vec<Partial>,
    panels: usize,
    queries: usize,
}

impl Partials {
    /// Of a head, `batch · heads + head`, with the weights of its keys, where they are weighed.
    pub(super) fn of<T: Element>(
        seen: &Seen<'_, T>,
        head: usize,
        weights: Option<&[f32]>,
        blocks: &[u32],
    ) -> Result<Self> {
        let Seen { plan, inputs, keys, .. } = *seen;
        let (problem, scale) = (plan.problem(), seen.scale.queries);
        let dim = plan.spec().head_dim as usize;
        let queries = (plan.spec().block.q as usize).min(problem.q_len);
        let first_query = problem.q_len - queries;
        let panels = queries.div_ceil(PANEL);
        let (batch, head) = (head / problem.heads, head % problem.heads);
        let mut q = filled("budgets", panels * dim, [0.0; PANEL])?;
        dispatch(PackQueries { inputs, batch, head, first_query, scale, q: &mut q });
        let kv_head = batch * problem.kv_heads + head / problem.heads_per_kv();
        let mut data = filled("budgets", product(&[blocks.len(), panels]), Partial::NOTHING)?;
        let units = data.par_chunks_mut(BLOCKS_PER_UNIT * panels).zip(blocks.par_chunks(BLOCKS_PER_UNIT));
        units.for_each(|(partials, blocks)| {
            dispatch(Unit { plan, keys, kv_head, weights, q: &q, first_query, blocks, partials });
        });
        Ok(Self { data, panels, queries })
    }

    /// How many queries there are.
    pub(super) fn queries(&self) -> usize {
        self.queries
    }

    /// Of a query and each block, the largest logit, base 2, and what the keys weigh under it.
    pub(super) fn of_query(&self, query: usize) -> impl Iterator<Item = (f32, f32)> + Clone {
        let (panel, lane) = (query / PANEL, query % PANEL);
        let of_blocks = self.data.iter().skip(panel).step_by(self.panels);
        of_blocks.map(move |partial| (partial.max[lane], partial.sum[lane]))
    }
}

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
        let (plan, inputs) = (seen.plan, seen.inputs);
        let (problem, geometry) = (plan.problem(), plan.geometry());
        let blocks = geometry.visible(geometry.rows() - 1);
        let norms = match weigh {
            Weigh::None => None,
            Weigh::Values => Some(Norms::of(&inputs.v, plan.spec().block.kv as usize)?),
        };
        let mut all = room("budgets", blocks)?;
        all.extend(0..blocks as u32);

        let heads = problem.batch * problem.heads;
        let mut data = filled("budgets", product(&[heads, blocks]), 0.0)?;
        observer.begin(Stage::Budget, heads);
        data.par_chunks_mut(blocks).enumerate().try_for_each(|(i, masses)| {
            let kv_head = i / problem.heads * problem.kv_heads + i % problem.heads / problem.heads_per_kv();
            let weights = norms.as_ref().map(|norms| norms.of_head(kv_head));
            let Partials { data, panels, queries } = Partials::of(seen, i, weights, &all)?;
            dispatch(Sum { partials: &data, panels, queries, masses });
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
    /// Of the head's keys, where they are weighed.
    weights: Option<&'a [f32]>,
    /// `[panel][dim][32]`.
    q: &'a [Row],
    first_query: usize,
    blocks: &'a [u32],
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
        for (&at, partials) in self.blocks.iter().zip(self.partials.chunks_exact_mut(panels)) {
            let first = at as usize * block;
            let keys = self.keys.range(self.kv_head, first, block);
            for ((panel, q), partial) in self.q.chunks_exact(dim).enumerate().zip(partials) {
                let token = self.first_query + panel * PANEL;
                let limits = std::array::from_fn(|lane| geometry.seen(token + lane) as u32);
                tile::scores(s, keys, q, &mut buffer);
                if (limits[0] as usize) < first + block {
                    tile::mask(&mut buffer, first, &limits);
                }
                partial.max = tile::row_max(s, &buffer, &partial.max);
                (partial.sum, partial.weighed) = match self.weights {
                    Some(weights) => tile::weighed_sum_exp(s, &buffer, &partial.max, &weights[first..]),
                    None => {
                        let sum = tile::sum_exp(s, &buffer, &partial.max);
                        (sum, sum)
                    }
                };
            }
        }
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
