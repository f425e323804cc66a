//! Seeing what happens inside a step.

use half::bf16;
use proxyattn::{Selection, View};

/// How closely an observer looks at a layer. A runner does no more than that asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Only that it is done.
    Nothing,
    /// How many tiles attention visited: [`Observer::visits`].
    Visits,
    /// Also what attention ran on, and over which lists: [`Observer::inputs`].
    Inputs,
}

/// Tiles (rows of query blocks × key blocks × query heads) of one layer's attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visits {
    /// Those that were visited.
    pub visited: u64,
    /// Those that full attention would visit.
    pub visible: u64,
}

impl Visits {
    /// Visited over visible.
    pub fn density(&self) -> f64 {
        self.visited as f64 / self.visible as f64
    }
}

impl core::ops::AddAssign for Visits {
    fn add_assign(&mut self, other: Self) {
        self.visited += other.visited;
        self.visible += other.visible;
    }
}

/// What one layer's attention ran on, in host memory, and the lists that it ran over.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `[1, heads, q_len, head_dim]`, after RoPE: the tokens of this step.
    pub q: View<'a, bf16>,
    /// `[1, kv_heads, kv_len, head_dim]`, after RoPE: the cache with the tokens of this step at its end.
    pub k: View<'a, bf16>,
    /// `[1, kv_heads, kv_len, head_dim]`.
    pub v: View<'a, bf16>,
    /// The blocks that were visited.
    pub selection: &'a Selection,
}

/// Callbacks for each layer of a step, from first to last. `&mut ()` ignores them.
pub trait Observer {
    /// How closely to look at a layer.
    fn detail(&self, _layer: usize) -> Detail {
        Detail::Nothing
    }

    /// How many tiles the layer's attention visited; called from [`Detail::Visits`] on.
    fn visits(&mut self, _layer: usize, _visits: Visits) {}

    /// What it ran on; called for [`Detail::Inputs`].
    fn inputs(&mut self, _layer: usize, _inputs: &Inputs<'_>) {}

    /// The layer is done, or, on a GPU, in the stream.
    fn done(&mut self, _layer: usize) {}
}

/// Ignores all callbacks.
impl Observer for () {}
