//! The last queries of a head against every block of keys, each block under its own maximum.

use super::pack::{Keys, pack_queries};
use super::simd::{Kernel, PANEL, Row, Simd, dispatch};
use super::tile::{self, MASKED};
use crate::inputs::Inputs;
use crate::memory::filled;
use crate::{Element, Plan, Result};
use rayon::prelude::*;

/// Blocks in one piece of work.
const BLOCKS_PER_UNIT: usize = 32;

/// A block's softmax under its own maximum, for one panel of queries.
#[derive(Clone, Copy)]
pub(super) struct Partial {
    pub(super) max: Row,
    pub(super) sum: Row,
    /// The sum with each key's part times the weight of the key.
    pub(super) weighed: Row,
}

impl Partial {
    const NOTHING: Self = Self { max: [MASKED; PANEL], sum: [0.0; PANEL], weighed: [0.0; PANEL] };
}

/// The last queries of a head, as panels.
pub(super) struct LastQueries {
    /// `[panel][dim][32]`.
    panels: Vec<Row>,
    first: usize,
    dim: usize,
}

impl LastQueries {
    /// At most `count` queries of a head of a sequence, times `scale`; `what` they are for is said where memory is short.
    pub(super) fn of<T: Element>(
        what: &'static str,
        inputs: &Inputs<'_, T>,
        (batch, head): (usize, usize),
        count: usize,
        scale: f32,
    ) -> Result<Self> {
        let [_, _, q_len, dim] = inputs.q.shape();
        let first = q_len - count.min(q_len);
        let mut panels = filled(what, (q_len - first).div_ceil(PANEL) * dim, [0.0; PANEL])?;
        dispatch(PackQueries { inputs, batch, head, first, scale, panels: &mut panels });
        Ok(Self { panels, first, dim })
    }

    /// Panels of queries.
    pub(super) fn panels(&self) -> usize {
        self.panels.len() / self.dim
    }

    /// Of the first `blocks` blocks of a KV head's keys, `[block][panel]`; keys weigh what `weights` says.
    pub(super) fn partials(
        &self,
        what: &'static str,
        plan: &Plan,
        (keys, kv_head): (&Keys, usize),
        weights: Option<&[f32]>,
        blocks: usize,
    ) -> Result<Vec<Partial>> {
        let panels = self.panels();
        let mut partials = filled(what, blocks * panels, Partial::NOTHING)?;
        partials.par_chunks_mut(BLOCKS_PER_UNIT * panels).enumerate().for_each(|(unit, partials)| {
            let first_block = unit * BLOCKS_PER_UNIT;
            dispatch(Unit { plan, keys, kv_head, weights, queries: self, first_block, partials });
        });
        Ok(partials)
    }
}

struct PackQueries<'a, T> {
    inputs: &'a Inputs<'a, T>,
    batch: usize,
    head: usize,
    first: usize,
    scale: f32,
    panels: &'a mut [Row],
}

impl<T: Element> Kernel for PackQueries<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [_, _, q_len, dim] = self.inputs.q.shape();
        for (panel, q) in self.panels.chunks_exact_mut(dim).enumerate() {
            let tokens = self.first + panel * PANEL..q_len;
            pack_queries(s, q, &self.inputs.q, (self.batch, self.head), tokens, self.scale);
        }
    }
}

/// Some blocks of keys.
struct Unit<'a> {
    plan: &'a Plan,
    keys: &'a Keys,
    kv_head: usize,
    /// Of the head's keys, where they are weighed.
    weights: Option<&'a [f32]>,
    queries: &'a LastQueries,
    first_block: usize,
    /// `[block][panel]`.
    partials: &'a mut [Partial],
}

impl Kernel for Unit<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let geometry = self.plan.geometry();
        let block = self.plan.spec().block.kv as usize;
        let LastQueries { panels, first: first_query, dim } = self.queries;

        let mut buffer = vec![[0.0; PANEL]; block];
        for (i, partials) in self.partials.chunks_exact_mut(self.queries.panels()).enumerate() {
            let first = (self.first_block + i) * block;
            let keys = self.keys.range(self.kv_head, first, block);
            for ((panel, q), partial) in panels.chunks_exact(*dim).enumerate().zip(partials) {
                let token = first_query + panel * PANEL;
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
