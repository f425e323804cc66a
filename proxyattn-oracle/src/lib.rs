//! The reference: every stage as its formula reads, in f64, one token at a time.
//!
//! ```text
//! Heads (q, k, v) ─▶ scorer ─▶ budget ─▶ select ─▶ attend        compare: how close is close enough
//!                                                              stages: what kernels leave between each other
//! ```
//!
//! The reference shares no code with the backends. It reads the numbers of a `Spec` and the rows of a `View`, and finds
//! out for itself which blocks a row sees, which are pinned and how many a head may visit. Each choice of a `Spec` has a
//! folder of its name, which implements a contract; `scorers!` and `budgets!` of `proxyattn-codegen` list them.
//!
//! The tests' own crates are built unoptimised. What loops over tokens is therefore not generic here: it is compiled in
//! this crate, which is optimised.

#![deny(missing_docs)]

mod attend;
mod budget;
pub mod compare;
mod format;
mod grid;
mod heads;
pub mod inputs;
mod scorer;
mod select;
pub mod stages;

pub use budget::{budgets, layer};
pub use compare::{KernelLists, Lists};
pub use grid::Grid;
pub use heads::Heads;
pub use scorer::{Scores, scorers};
pub use select::in_order_of_cuts;

use core::ops::{Deref, Range};
use proxyattn_codegen::Spec;
use proxyattn_runtime::{Element, View};
use std::sync::OnceLock;

/// One prefill, as numbers.
#[derive(Debug)]
pub struct Oracle {
    grid: Grid,
    scale: f64,
    q: Heads,
    k: Heads,
    v: Heads,
    scores: OnceLock<Vec<Scores>>,
    masses: OnceLock<Vec<Vec<f64>>>,
}

/// What follows from the shape alone.
impl Deref for Oracle {
    type Target = Grid;

    fn deref(&self) -> &Grid {
        &self.grid
    }
}

impl Oracle {
    /// The reference for these inputs, whose shapes must fit.
    pub fn new<T: Element>(spec: &Spec, q: &View<'_, T>, k: &View<'_, T>, v: &View<'_, T>) -> Self {
        let [batch, heads, q_len, _] = q.shape();
        let [_, kv_heads, kv_len, _] = k.shape();
        let grid = Grid::new(spec, [batch, heads, kv_heads, q_len, kv_len]);
        Self::of_heads(grid, [Heads::of(q), Heads::of(k), Heads::of(v)])
    }

    /// The reference for the numbers of q, k and v.
    pub fn of_heads(grid: Grid, [q, k, v]: [Heads; 3]) -> Self {
        let scale = grid.spec.scale.unwrap_or(1.0 / f64::from(grid.spec.head_dim).sqrt());
        Self { grid, scale, q, k, v, scores: OnceLock::new(), masses: OnceLock::new() }
    }

    /// Logits of a query of a head with some keys.
    fn logits(&self, [batch, head]: [usize; 2], token: usize, keys: Range<usize>) -> Vec<f64> {
        let q = self.q.row(batch * self.heads + head, token);
        let kv_head = self.kv_head(batch, head);
        keys.map(|key| self.scale * heads::dot(q, self.k.row(kv_head, key))).collect()
    }
}
