//! The scorer `nearest`: how near a block is to the row's own one.

use super::{Contract, Prepared, Scores, log2_sum};
use crate::cpu::inputs::Scale;
use crate::cpu::pack::Keys;
use crate::inputs::Inputs;
use crate::memory::{filled, product};
use crate::{Element, Observer, Plan, Result, Stage};
use proxyattn_codegen::Nearest;
use rayon::prelude::*;

/// What a block of distance takes from a score, in log2.
const STEP: f64 = 1.0 / proxyattn_codegen::CODES_PER_LOG2 as f64;

/// There is nothing to look at.
struct Distances;

impl Contract for Nearest {
    fn prepare<'a, T: Element>(
        &self,
        _: &Plan,
        _: &Inputs<'_, T>,
        _: &'a Keys,
        _: Scale,
    ) -> Result<Box<dyn Prepared + 'a>> {
        Ok(Box::new(Distances))
    }
}

impl Prepared for Distances {
    fn score(&self, plan: &Plan, observer: &dyn Observer) -> Result<Scores> {
        let (problem, geometry) = (plan.problem(), plan.geometry());
        let (rows, blocks) = (geometry.rows(), geometry.blocks());
        let sequences = problem.batch * plan.groups();
        let mut data = filled("scores", product(&[sequences, rows, blocks]), f32::NEG_INFINITY)?;
        observer.begin(Stage::Score, sequences * rows);
        data.par_chunks_mut(blocks).enumerate().for_each(|(i, scores)| {
            let row = i % rows;
            let last = geometry.position(geometry.tokens(row).end - 1).min(problem.kv_len - 1);
            let own = last / plan.spec().block.kv as usize;
            let score = |block: usize| -(block.abs_diff(own) as f64) * STEP;
            let visible = geometry.visible(row);
            let sum = log2_sum((0..visible).map(score));
            for (block, of_block) in scores[..visible].iter_mut().enumerate() {
                *of_block = (score(block) - sum) as f32;
            }
            observer.advance(Stage::Score, 1);
        });
        Ok(Scores { data, rows, blocks })
    }
}
