//! How much of the true attention lies in the blocks that were visited.

use crate::{Detail, Inputs, Observer, Visits};
use proxyattn::Geometry;
use rayon::prelude::*;

/// Rows of query blocks that are looked at, evenly spread over a context, the last among them.
const ROWS: usize = 16;

/// Sums of each layer: tiles visited, and block-mass recall where it was asked for.
#[derive(Clone, Debug)]
pub struct Recall<F> {
    /// Tiles, by layer.
    pub visits: Vec<Visits>,
    /// The mean over heads and sampled rows of the share of a row's true softmax mass that lies in the visited blocks, by
    /// layer; empty unless it was asked for.
    pub recall: Vec<f64>,
    detail: Detail,
    done: F,
}

impl<F: FnMut()> Recall<F> {
    /// For a model of so many layers; `done` hears of each layer.
    pub fn new(layers: usize, recall: bool, done: F) -> Self {
        let detail = if recall { Detail::Inputs } else { Detail::Visits };
        Self { visits: vec![Visits::default(); layers], recall: Vec::new(), detail, done }
    }
}

impl<F: FnMut()> Observer for Recall<F> {
    fn detail(&self, _: usize) -> Detail {
        self.detail
    }

    fn visits(&mut self, layer: usize, visits: Visits) {
        self.visits[layer] += visits;
    }

    fn inputs(&mut self, _: usize, inputs: &Inputs<'_>) {
        self.recall.push(block_recall(inputs));
    }

    fn done(&mut self, _: usize) {
        (self.done)();
    }
}

/// The share of the true mass of sampled rows that lies in the blocks that were visited, averaged over heads and rows.
fn block_recall(inputs: &Inputs<'_>) -> f64 {
    let geometry = inputs.selection.geometry();
    let rows = geometry.rows();
    let sampled = rows.min(ROWS);
    let samples = (0..inputs.q.shape()[1] * sampled).into_par_iter().map(|i| {
        let (head, row) = (i / sampled, (i % sampled + 1) * rows / sampled - 1);
        let mass = block_mass(inputs, geometry, head, row);
        let visited = inputs.selection.blocks(0, head, row);
        visited.iter().map(|&block| mass[block as usize]).sum::<f64>()
    });
    samples.sum::<f64>() / (inputs.q.shape()[1] * sampled) as f64
}

/// The softmax mass of each block for one row of query blocks, averaged over its tokens. Plain f32 dot products and f64
/// sums: it shares nothing with the kernels.
fn block_mass(inputs: &Inputs<'_>, geometry: &Geometry, head: usize, row: usize) -> Vec<f64> {
    let [_, heads, _, head_dim] = inputs.q.shape();
    let kv_head = head / (heads / inputs.k.shape()[1]);
    let scale = 1.0 / (head_dim as f64).sqrt();
    let tokens = geometry.tokens(row);
    let floats = |row: &[half::bf16]| row.iter().map(|x| x.to_f32()).collect::<Vec<_>>();
    let queries: Vec<_> = tokens.clone().map(|token| floats(inputs.q.row(0, head, token))).collect();
    let visible = geometry.visible(row);
    let mut logits = vec![vec![f64::NEG_INFINITY; geometry.keys(visible - 1).end]; queries.len()];
    for key in 0..geometry.keys(visible - 1).end {
        let k = floats(inputs.k.row(0, kv_head, key));
        let first = key.saturating_sub(geometry.offset() + tokens.start).min(queries.len());
        for (query, logits) in queries.iter().zip(&mut logits).skip(first) {
            logits[key] = f64::from(dot(query, &k)) * scale;
        }
    }
    let mut mass = vec![0.0; visible];
    for logits in &logits {
        let max = logits.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(x));
        let weights: Vec<_> = logits.iter().map(|x| (x - max).exp()).collect();
        let share = 1.0 / (weights.iter().sum::<f64>() * queries.len() as f64);
        for (block, mass) in mass.iter_mut().enumerate() {
            *mass += weights[geometry.keys(block)].iter().sum::<f64>() * share;
        }
    }
    mass
}

/// `x · y` in sixteen lanes, so that it vectorises.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (x, y) in x.chunks_exact(16).zip(y.chunks_exact(16)) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    lanes.iter().sum()
}
