//! Queries against keys, in plain f32 loops: what softmax needs to know of each block of keys.

use proxyattn_runtime::View;
use std::ops::Range;

/// Queries and keys that the inner loop handles at a time: as much as fits sixteen vector registers.
pub const QUERIES: usize = 2;
const KEYS: usize = 16;

/// A few queries, as `[dim][query]`.
pub type Queries = [[f32; QUERIES]];

/// What softmax needs to know of some logits: the largest, and the sum of the exponentials relative to it.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The largest logit; `f32::MIN` where there is none.
    pub max: f32,
    /// `Σ exp(logit − max)`.
    pub sum: f32,
}

impl Part {
    /// Of no logits at all.
    pub const NOTHING: Part = Part { max: f32::MIN, sum: 0.0 };

    /// Nothing seen has no mass.
    fn of(logits: &[f32]) -> Self {
        let max = logits.iter().fold(f32::MIN, |max, &x| max.max(x));
        Self { max, sum: logits.iter().map(|x| (x - max).exp()).sum() }
    }

    /// `Σ exp(logit − from)`.
    pub fn relative_to(self, from: f32) -> f32 {
        (self.max - from).exp() * self.sum
    }

    /// Of the logits of several parts.
    pub fn all(parts: impl Iterator<Item = Part> + Clone) -> Self {
        let max = parts.clone().fold(f32::MIN, |max, part| max.max(part.max));
        Self { max, sum: parts.map(|part| part.relative_to(max)).sum() }
    }
}

/// The keys of one head, or of a proxy, as panels `[tokens / KEYS][dim][KEYS]`, so that the inner loop reads them in
/// order.
#[derive(Debug)]
pub struct Keys {
    panels: Vec<[f32; KEYS]>,
    tokens: usize,
    dim: usize,
}

impl Keys {
    /// The mean over `heads` of one sequence of `k`.
    ///
    /// # Panics
    /// If an index is out of bounds, or `k` is on a GPU.
    pub fn mean<T: Copy + Into<f32>>(k: &View<'_, T>, batch: usize, heads: Range<usize>) -> Self {
        let [_, _, tokens, dim] = k.shape();
        let mut panels = vec![[0.0; KEYS]; tokens.div_ceil(KEYS) * dim];
        let mut row = vec![0.0; dim];
        for token in 0..tokens {
            mean(k, batch, heads.clone(), token, &mut row);
            let panel = &mut panels[token / KEYS * dim..][..dim];
            for (lanes, &x) in panel.iter_mut().zip(&row) {
                lanes[token % KEYS] = x;
            }
        }
        Self { panels, tokens, dim }
    }

    /// For each of `blocks`, what each query sees of it: query `i` sees the first `seen[i]` keys. Blocks start at
    /// multiples of 16.
    pub fn parts(
        &self,
        queries: &Queries,
        blocks: impl Iterator<Item = Range<usize>>,
        seen: [usize; QUERIES],
    ) -> Vec<[Part; QUERIES]> {
        let mut logits = Vec::new();
        let of_block = |block: Range<usize>| {
            let panels = block.len().div_ceil(KEYS);
            logits.resize(QUERIES * panels, [0.0; KEYS]);
            self.dots(queries, block.start / KEYS, panels, &mut logits);
            std::array::from_fn(|i| {
                let seen = seen[i].min(block.end).saturating_sub(block.start);
                Part::of(&logits[i * panels..(i + 1) * panels].as_flattened()[..seen])
            })
        };
        blocks.map(of_block).collect()
    }

    /// The logits of each query with the first `seen` keys.
    pub fn logits(&self, queries: &Queries, seen: usize) -> [Vec<f32>; QUERIES] {
        let panels = seen.min(self.tokens).div_ceil(KEYS);
        let mut logits = vec![[0.0; KEYS]; QUERIES * panels];
        self.dots(queries, 0, panels, &mut logits);
        std::array::from_fn(|i| logits[i * panels..(i + 1) * panels].as_flattened()[..seen].to_vec())
    }

    /// `queries · keys` for some panels, as `[query][panel]`.
    fn dots(&self, queries: &Queries, first: usize, panels: usize, out: &mut [[f32; KEYS]]) {
        for panel in 0..panels {
            let mut sums = [[0.0; KEYS]; QUERIES];
            for (query, key) in queries.iter().zip(&self.panels[(first + panel) * self.dim..][..self.dim]) {
                for (sum, x) in sums.iter_mut().zip(query) {
                    for (sum, y) in sum.iter_mut().zip(key) {
                        *sum += x * y;
                    }
                }
            }
            (0..QUERIES).for_each(|i| out[i * panels + panel] = sums[i]);
        }
    }
}

/// The mean over `heads` of one token, times `factor`, into lane `lane` of `queries`.
///
/// # Panics
/// As [`Keys::mean`].
pub fn set_query<T: Copy + Into<f32>>(
    queries: &mut Queries,
    lane: usize,
    q: &View<'_, T>,
    (batch, heads, token): (usize, Range<usize>, usize),
    factor: f32,
) {
    let mut row = vec![0.0; queries.len()];
    mean(q, batch, heads, token, &mut row);
    for (lanes, x) in queries.iter_mut().zip(row) {
        lanes[lane] = x * factor;
    }
}

fn mean<T: Copy + Into<f32>>(
    view: &View<'_, T>,
    batch: usize,
    heads: Range<usize>,
    token: usize,
    row: &mut [f32],
) {
    let share = 1.0 / heads.len() as f32; // taken of each head: the sum of large ones may leave f32
    row.fill(0.0);
    for head in heads {
        for (sum, &x) in row.iter_mut().zip(view.row(batch, head, token)) {
            *sum += x.into() * share;
        }
    }
}
