//! How much of the true attention lies in the blocks that were visited.

use crate::{Detail, Inputs, Observer, Visits};
use kit::mass::{BlockMass, spread};
use kit::progress::Progress;

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
    /// For a model with this many layers; `done` is called for each layer.
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
    let [_, heads, _, head_dim] = inputs.q.shape();
    let (selection, geometry) = (inputs.selection, inputs.selection.geometry());
    let (rows, scale) = (spread(0..geometry.rows(), ROWS), 1.0 / (head_dim as f64).sqrt());
    let mass = BlockMass::compute(&inputs.q, &inputs.k, geometry, rows, scale, &Progress::hidden());
    let samples = (0..heads).flat_map(|head| mass.rows().iter().enumerate().map(move |row| (head, row)));
    let shares = samples.map(|(head, (index, &row))| {
        let shares = mass.row(head, index);
        let visited = selection.blocks(0, head, row).iter();
        visited.map(|&block| f64::from(shares[block as usize])).sum::<f64>()
    });
    shares.sum::<f64>() / (heads * mass.rows().len()) as f64
}
