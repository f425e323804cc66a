//! Attention over the lists, with an online softmax.

use super::pack::{Keys, Values, pack_queries, unpack_output};
use super::simd::{Kernel, PANEL, Row, Simd, dispatch};
use super::tile::{self, Running};
use crate::memory::{filled, product, room};
use crate::tensor::Rows;
use crate::{Element, Observer, Plan, Result, Selection, Stage, inputs::Inputs};
use core::cmp::Reverse;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Attends and writes `out`: from the first unit on, nothing can fail.
pub(super) fn attend<T: Element>(
    plan: &Plan,
    inputs: &Inputs<'_, T>,
    packed: (&Keys, &Values),
    selection: &Selection,
    scale: f32,
    out: &Rows<'_, T>,
    observer: &dyn Observer,
) -> Result<()> {
    let (problem, rows) = (plan.problem(), plan.geometry().rows());
    // A unit is a row of blocks of one KV head: its query heads read each tile of K and V together. Lists from outside may
    // differ between them.
    let heads = if problem.kv_heads.is_multiple_of(selection.groups()) { problem.heads_per_kv() } else { 1 };
    let of_sequence = problem.heads / heads;
    let mut units = room("units of attend", product(&[problem.batch, of_sequence, rows]))?;
    units.extend(
        (0..problem.batch)
            .flat_map(|batch| (0..of_sequence).map(move |i| (batch, i * heads)))
            .flat_map(|(batch, first_head)| (0..rows).map(move |row| (batch, first_head, row)))
            .map(|(batch, first_head, row)| {
                let count = |i| selection.count(batch, first_head + i, row);
                ((0..heads).map(count).sum::<usize>(), batch, first_head, row)
            }),
    );
    // The longest first, so that no thread is left with a long one at the end.
    units.sort_unstable_by_key(|&(length, batch, first_head, row)| (Reverse(length), batch, first_head, row));
    // A thread has its own, and works on one unit at a time: no lock is ever waited for.
    let threads = rayon::current_num_threads().max(1);
    let scratches = (0..threads).map(|_| Scratch::new(plan).map(Mutex::new)).collect::<Result<Vec<_>>>()?;

    observer.begin(Stage::Attend, units.len());
    units.par_iter().with_max_len(1).for_each(|&(_, batch, first_head, row)| {
        let thread = rayon::current_thread_index().unwrap_or(0);
        let mut scratch = scratches[thread % threads].lock().unwrap_or_else(PoisonError::into_inner);
        let ((keys, values), scratch) = (packed, &mut *scratch);
        dispatch(Unit {
            plan,
            inputs,
            keys,
            values,
            selection,
            scale,
            out,
            batch,
            first_head,
            heads,
            row,
            scratch,
        });
        observer.advance(Stage::Attend, 1);
    });
    Ok(())
}

/// What a thread needs for a unit; panels of one head follow each other, then those of the next head.
struct Scratch {
    /// `[panel][dim][32]`.
    q: Vec<Row>,
    /// `[panel][dim][32]`, not yet divided by the sum.
    o: Vec<Row>,
    softmax: Vec<Running>,
    /// `[key][32]`.
    tile: Vec<Row>,
}

impl Scratch {
    fn new(plan: &Plan) -> Result<Self> {
        let spec = plan.spec();
        let panels = plan.problem().heads_per_kv() * (spec.block.q as usize).div_ceil(PANEL);
        let rows = || filled("units of attend", panels * spec.head_dim as usize, [0.0; PANEL]);
        Ok(Self {
            q: rows()?,
            o: rows()?,
            softmax: filled("units of attend", panels, Running::START)?,
            tile: filled("units of attend", spec.block.kv as usize, [0.0; PANEL])?,
        })
    }
}

/// One row of blocks of one KV head, with those of its query heads that share a list.
struct Unit<'a, T> {
    plan: &'a Plan,
    inputs: &'a Inputs<'a, T>,
    keys: &'a Keys,
    values: &'a Values,
    selection: &'a Selection,
    scale: f32,
    out: &'a Rows<'a, T>,
    batch: usize,
    first_head: usize,
    heads: usize,
    row: usize,
    scratch: &'a mut Scratch,
}

impl<T: Element> Kernel for Unit<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (spec, problem, geometry) = (self.plan.spec(), self.plan.problem(), self.plan.geometry());
        let (dim, block_kv) = (spec.head_dim as usize, spec.block.kv as usize);
        let (heads, first_head) = (self.heads, self.first_head);
        let tokens = geometry.tokens(self.row);
        let panels = tokens.len().div_ceil(PANEL);
        let kv_sequence = self.batch * problem.kv_heads + first_head / problem.heads_per_kv();
        let Scratch { q, o, softmax, tile } = self.scratch;
        let (q, o) = (&mut q[..heads * panels * dim], &mut o[..heads * panels * dim]);

        softmax.fill(Running::START);
        for (i, q) in q.chunks_exact_mut(dim).enumerate() {
            let tokens = tokens.start + i % panels * PANEL..tokens.end;
            pack_queries(s, q, &self.inputs.q, (self.batch, first_head + i / panels), tokens, self.scale);
        }

        let group = first_head / (problem.heads / self.selection.groups());
        let list = self.selection.list(self.batch, group, self.row);
        for head in 0..heads {
            debug_assert!(self.selection.count(self.batch, first_head + head, self.row) <= list.len());
        }
        for (i, &block) in list.iter().enumerate() {
            let block = block as usize;
            let first = block * block_kv;
            let keys = self.keys.range(kv_sequence, first, block_kv);
            let values = self.values.block(kv_sequence, block);
            let masked = geometry.keys(block).len() < block_kv || geometry.needs_mask(self.row, block);
            for head in 0..heads {
                if i >= self.selection.count(self.batch, first_head + head, self.row) {
                    continue;
                }
                for panel in 0..panels {
                    let at = head * panels + panel;
                    let (q, o) = (&q[at * dim..][..dim], &mut o[at * dim..][..dim]);
                    let tile = if masked {
                        let token = tokens.start + panel * PANEL;
                        let limits = std::array::from_fn(|lane| geometry.seen(token + lane) as u32);
                        let tile = &mut tile[..tile::reach(first, block_kv, &limits)];
                        tile::scores(s, keys, q, tile);
                        tile::mask(tile, first, &limits);
                        tile
                    } else {
                        tile::scores(s, keys, q, tile);
                        &mut tile[..]
                    };
                    let softmax = &mut softmax[at];
                    let max = tile::row_max(s, tile, &softmax.max);
                    if let Some(factors) = softmax.raise(s, max)
                        && i > 0
                    {
                        tile::rescale(s, o, &factors);
                    }
                    let sum = tile::exponentiate(s, tile, &softmax.max);
                    softmax.add(s, &sum);
                    tile::accumulate(s, values, block_kv, tile, o, i > 0);
                }
            }
        }

        for (i, (o, softmax)) in o.chunks_exact(dim).zip(softmax).enumerate() {
            let (head, first) = (first_head + i / panels, tokens.start + i % panels * PANEL);
            // SAFETY: a unit owns the tokens of its row of its query heads, and no two units share a row and a query
            // head; within a unit each token is named once.
            let out = (first..tokens.end).map(|token| unsafe { self.out.row(self.batch, head, token) });
            unpack_output(s, o, &softmax.sum.map(|sum| 1.0 / sum), out);
        }
    }
}
