//! The scorer `antidiagonal`: strided queries against strided keys, in which every token of both counts once.

mod kernels;

use super::{Contract, Pools};
use crate::abi::UnitId;
use crate::arch::{HopperTiles, hopper};
use crate::pipeline::{Cx, Part};
use crate::syntax::{self, Wrong};
use crate::{Arch, Key, Spec, Stride};

/// `antidiagonal(stride = 16)`: sums over the antidiagonals of a group's attention, in squares of `stride` by `stride` tokens
/// (`XAttention`, arXiv 2503.16428).
///
/// With S = `stride`, a strided query i is the S queries from token i·S on, a strided key j the S keys from token j·S on, both
/// means over the heads of a group. Their logit is `scale / S · Σ_r q(i·S + S − 1 − r) · k(j·S + r)` over 0 ≤ r < S: a query of the
/// window meets one key, and each key one query. A strided query sees the strided keys up to the one with the position of its first
/// token, and gives each a probability by softmax over them. A block weighs in a row of blocks what its strided keys are given by
/// the row's strided queries, all added up; its score is the logarithm of that.
///
/// Windows of queries begin with the first query, and windows of keys with the first key. Where a last window is not full, what
/// it lacks is taken for zeros, as the authors pad. The last strided key that a strided query sees holds up to S − 1 keys, and
/// with an offset that S does not divide another S − 1, that its first queries do not see: their block is always kept. The
/// authors score each query head on its own: a list for each head takes as many KV heads as query heads, since groups divide
/// the KV heads. Of a group of several heads, which they do not have, it is the mean heads that are scored, as `proxy` and
/// `mean_pool` do it. `stride` of the configuration has no effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Antidiagonal {
    /// Tokens of a window: 4, 8 or 16.
    pub stride: u32,
}

impl Antidiagonal {
    /// The widest of the authors' windows.
    pub const DEFAULT: Antidiagonal = Antidiagonal { stride: 16 };
}

kind! {
    Key::Scorer, Antidiagonal, "antidiagonal", like "antidiagonal(stride = 16)";
    parts {
        stride: syntax::Part::like("16"),
    }
    rules |antidiagonal, spec| {
        stride: matches!(antidiagonal.stride, 4 | 8 | 16), else Wrong::alone(
            format!("the `stride` of `antidiagonal` must be 4, 8 or 16 tokens, not {}", antidiagonal.stride),
            Some("the authors take 8 or 16: 16 costs half as much".into())
        ),
    }
}

impl Contract for Antidiagonal {
    fn window(&self, _: &Spec) -> Stride {
        Stride { q: self.stride, kv: self.stride }
    }

    fn pools(&self) -> Pools {
        Pools::Sum
    }

    /// A part of a window is a head's row, or its halves of 64 elements.
    fn on_hopper(&self, spec: &Spec, _: &HopperTiles) -> bool {
        HopperTiles::exist_for(spec) && spec.head_dim <= 128
    }

    fn part(&self, cx: &Cx<'_>) -> Part {
        let (unit, memory) = match cx.native.score {
            Arch::Sm80 => (UnitId::Scoring, kernels::portable_memory(cx)),
            Arch::Sm90a => (UnitId::Score, kernels::hopper_memory()),
        };
        Part {
            kernels: kernels::kernels(cx),
            buffers: kernels::buffers(self, cx),
            sections: vec![
                ("ONE_STAGE", kernels::portable_stages(cx.spec) == 1),
                ("POOL_KEYS", !cx.spec.is_dense() && kernels::pools_keys(cx)),
            ],
            shared: kernels::constants(cx),
            memory: vec![(unit, memory)],
            ..Part::default()
        }
    }
}

/// Rows of a warpgroup: two products of 64 share each stage of keys.
const WG_SAMPLES: u32 = 2 * hopper::WG_ROWS;
