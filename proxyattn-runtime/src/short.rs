//! Contexts so short that selecting blocks costs more than it saves.
//!
//! [`Attention`](crate::Attention) compares a problem with a number of key tokens, its device's unless the program says
//! otherwise, and runs dense below. [`Plan::new`](crate::Plan::new) knows nothing of it: it plans what the configuration
//! says.
//!
//! What dense attention costs, and so what lists can save, goes with the pairs of a query and a key. A chunk of queries
//! therefore counts as the whole context that has as many pairs: 512 causal queries at the end of 16,384 keys as a context
//! of 4064. Heads and sequences do not count: they multiply both sides.

use crate::Problem;
use core::fmt;
use proxyattn_codegen::{Arch, Spec};

/// On Hopper, where its own kernels run: tokens below which [`Attention`](crate::Attention) runs dense. To be measured on
/// an H100 with 32 heads on 8, 128 dims, bf16; the figure and its command belong in `docs/performance.md`.
pub const SM_90A: usize = 4096;

/// The same for the portable kernels. Not measured at the edge: on an H100 the default configuration loses at 1024 tokens
/// and a tenth of the blocks is four times faster than dense at 8192 (`docs/performance/h100-2026-11-23-short.txt`).
pub const SM_80: usize = 3072;

/// The same for the CPU.
pub const CPU: usize = 640;

/// The tokens for a family of kernels, or for the CPU.
pub const fn dense_below(arch: Option<Arch>) -> usize {
    match arch {
        Some(Arch::Sm90a) => SM_90A,
        Some(_) => SM_80,
        None => CPU,
    }
}

/// Why a plan visits every block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhyDense {
    /// The configuration says so: `budget = all`.
    Declared,
    /// The budget's floor keeps every block of every row, whatever the scores are.
    Kept,
    /// The context is short: selecting would cost more than it saves.
    Short {
        /// Key tokens below which that is taken to be so.
        below: usize,
    },
}

impl fmt::Display for WhyDense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared => f.write_str("every block is visited"),
            Self::Kept => f.write_str("the context is so short that the budget keeps every block"),
            Self::Short { below } => {
                write!(f, "the context is shorter than {below} tokens, below which dense is faster")
            }
        }
    }
}

/// Whether a problem has fewer pairs of a query and a key than a whole context of `below` tokens.
pub(crate) fn is_short(spec: &Spec, problem: &Problem, below: usize) -> bool {
    // Twice the pairs, which is a whole number, of the last `q` of `kv` tokens.
    let pairs = |q: usize, kv: usize| {
        let (q, kv) = (q as u128, kv as u128);
        let hidden = if spec.causal { q.saturating_sub(1) } else { 0 };
        q * (2 * kv - hidden)
    };
    pairs(problem.q_len, problem.kv_len) < pairs(below, below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(causal: bool, q_len: usize, kv_len: usize, below: usize) -> bool {
        let problem = Problem { batch: 3, heads: 8, kv_heads: 2, q_len, kv_len };
        is_short(&Spec { causal, ..Spec::DEFAULT }, &problem, below)
    }

    #[test]
    fn a_whole_context_is_compared_by_its_tokens() {
        for causal in [true, false] {
            for n in [1, 2, 63, 640, 4096, 1 << 30] {
                assert!(short(causal, n, n, n + 1) && !short(causal, n, n, n), "{causal} {n}");
                assert!(short(causal, n, n, usize::MAX) && !short(causal, n, n, 0), "{causal} {n}");
            }
        }
    }

    #[test]
    fn a_chunk_counts_by_its_pairs() {
        // 512 queries see 15,873 to 16,384 keys: 8,257,792 pairs, between those of 4063 tokens and of 4064.
        assert!(short(true, 512, 16_384, 4064) && !short(true, 512, 16_384, 4063));
        // Without a mask 512 × 8192 are 2048 × 2048.
        assert!(short(false, 512, 8192, 2049) && !short(false, 512, 8192, 2048));
        assert!(short(true, 1, 131_072, 640) && !short(true, 64, 131_072, 4000));
    }
}
