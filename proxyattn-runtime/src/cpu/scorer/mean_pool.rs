//! The scorer `mean_pool`: the mean query of each row of blocks against the mean key of each block.

use super::{Contract, Prepared, Scores};
use crate::cpu::inputs::Scale;
use crate::cpu::pack::Keys;
use crate::inputs::Inputs;
use crate::memory::{filled, product, room};
use crate::{Element, Observer, Plan, Result, Stage, View};
use proxyattn_codegen::MeanPool;
use rayon::prelude::*;

/// Means of a group, in f64: their product decides between blocks that differ by little.
struct Means {
    /// `[batch · group][block][dim]`.
    data: Vec<f64>,
    /// Blocks of a group.
    blocks: usize,
    dim: usize,
}

impl Means {
    /// Of the tokens of each block, over the heads of each of `batch · groups` sequences.
    fn of<T: Element>(view: &View<'_, T>, groups: usize, block: usize) -> Result<Self> {
        let [batch, heads, tokens, dim] = view.shape();
        let (blocks, size) = (tokens.div_ceil(block), heads / groups);
        let mut data = filled("mean queries and keys", product(&[batch * groups, blocks, dim]), 0.0)?;
        data.par_chunks_mut(dim).enumerate().for_each(|(i, mean)| {
            let (sequence, first) = (i / blocks, i % blocks * block);
            let (batch, group) = (sequence / groups, sequence % groups);
            let tokens = first..tokens.min(first + block);
            for head in group * size..(group + 1) * size {
                for token in tokens.clone() {
                    for (sum, x) in mean.iter_mut().zip(view.row(batch, head, token)) {
                        *sum += f64::from(x.to_f32());
                    }
                }
            }
            mean.iter_mut().for_each(|sum| *sum /= (size * tokens.len()) as f64);
        });
        Ok(Self { data, blocks, dim })
    }

    fn block(&self, sequence: usize, block: usize) -> &[f64] {
        &self.data[(sequence * self.blocks + block) * self.dim..][..self.dim]
    }
}

/// Mean queries and keys.
struct Pooled {
    queries: Means,
    keys: Means,
    /// What makes a base-2 logarithm of a product.
    factor: f64,
}

impl Contract for MeanPool {
    fn prepare<'a, T: Element>(
        &self,
        plan: &Plan,
        inputs: &Inputs<'_, T>,
        _: &'a Keys,
        scale: Scale,
    ) -> Result<Box<dyn Prepared + 'a>> {
        let (groups, block) = (plan.groups(), plan.spec().block);
        Ok(Box::new(Pooled {
            queries: Means::of(&inputs.q, groups, block.q as usize)?,
            keys: Means::of(&inputs.k, groups, block.kv as usize)?,
            factor: f64::from(scale.queries) * f64::from(scale.keys),
        }))
    }
}

impl Prepared for Pooled {
    fn score(&self, plan: &Plan, observer: &dyn Observer) -> Result<Scores> {
        let geometry = plan.geometry();
        let (rows, blocks) = (geometry.rows(), geometry.blocks());
        let sequences = plan.problem().batch * plan.groups();
        let mut data = filled("scores", product(&[sequences, rows, blocks]), f32::NEG_INFINITY)?;
        observer.begin(Stage::Score, sequences * rows);
        data.par_chunks_mut(blocks).enumerate().try_for_each(|(i, scores)| {
            let (sequence, row) = (i / rows, i % rows);
            let query = self.queries.block(sequence, row);
            let mut products = room("scores", geometry.visible(row))?;
            products.extend((0..geometry.visible(row)).map(|block| {
                self.factor * dot(query, self.keys.block(sequence, block)) // of f64: the sum below may be all but equal to it
            }));
            let top = products.iter().fold(f64::NEG_INFINITY, |top: f64, &x| top.max(x));
            let sum = top + products.iter().map(|x| (x - top).exp2()).sum::<f64>().log2();
            for (score, product) in scores.iter_mut().zip(products) {
                *score = (product - sum) as f32;
            }
            observer.advance(Stage::Score, 1);
            Ok(())
        })?;
        Ok(Scores { data, rows, blocks })
    }
}

/// In eight sums side by side, as vectors have it.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}
