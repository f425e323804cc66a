//! Contexts so short that selecting blocks costs more than it saves.
//!
//! [`Attention`](crate::Attention) compares a problem with a threshold in key tokens, by default [`tokens`], and runs dense
//! below it. [`Plan::new`](crate::Plan::new) ignores the threshold and plans as configured, for programs that bring their own
//! lists or measure stages.
//!
//! The cost of dense attention, and so the possible saving, is proportional to the number of query-key pairs. Therefore a
//! chunk of queries counts as the whole context with as many pairs: 512 causal queries at the end of 16,384 keys count as
//! 4064 tokens. This is conservative: the budget's minimum is a small share of a long context, so some short chunks that
//! would gain run dense. Others would lose, because a dynamic budget reads all keys however few queries there are. Heads and
//! sequences do not matter: they multiply both sides.

use crate::Problem;
use core::fmt;
use proxyattn_codegen::{Arch, Spec};

/// The threshold in tokens for Hopper's kernels; the measurements are next to the number in codegen.
pub const SM_90A: usize = Arch::Sm90a.facts().dense_below;

/// The same for the portable kernels.
pub const SM_80: usize = Arch::Sm80.facts().dense_below;

/// The same for the CPU: with a tenth of the blocks it reaches 0.90× dense's speed at 192 tokens, 1.07× at 256, 1.39× at 384
/// (`docs/performance.md`).
pub const CPU: usize = 256;

/// A context must be this many times as long as the minimum that its budget keeps. At twice the minimum, the minimum covers
/// three quarters of the tiles of a causal context. Measured on the CPU with the default minimum of 512 tokens: 0.94× dense at
/// 768, 1.01× at 896, 1.11× at 1024; with the paper's 2048: 1.04× at 3072, 1.13× at 4096.
const FLOORS: usize = 2;

/// The threshold in tokens for a configuration on a family of kernels, or on the CPU: the device's threshold, or twice the
/// minimum that the budget keeps of every row, if that is more.
pub fn tokens(spec: &Spec, arch: Option<Arch>) -> usize {
    let device = arch.map_or(CPU, |arch| arch.facts().dense_below);
    let floor = usize::try_from(spec.budget.floor_tokens(spec.block)).unwrap_or(usize::MAX);
    device.max(floor.saturating_mul(FLOORS))
}

/// Why a plan visits every block.
///
/// ```
/// use proxyattn::prelude::*;
///
/// #[proxy_attention(budget = ratio(0.1))]
/// struct Tenth;
///
/// let attention = Tenth::load(&Device::cpu())?;
/// let problem = Problem { batch: 1, heads: 8, kv_heads: 8, q_len: 200, kv_len: 200 };
/// let why = attention.plan(&problem)?.why_dense().expect("it is short");
/// assert_eq!(why.to_string(), "the context is shorter than 256 tokens, below which dense is faster");
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhyDense {
    /// The configuration has `budget = all`.
    Declared,
    /// The budget's minimum keeps every block of every row, whatever the scores are.
    Kept,
    /// The context is short: selection would cost more than it saves.
    Short {
        /// The threshold in key tokens.
        below: usize,
    },
}

impl fmt::Display for WhyDense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared => f.write_str("`budget = all` visits every block"),
            Self::Kept => f.write_str("the context is so short that the budget keeps every block"),
            Self::Short { below } => {
                write!(f, "the context is shorter than {below} tokens, below which dense is faster")
            }
        }
    }
}

/// Whether a problem has fewer query-key pairs than a whole context of `below` tokens.
pub(crate) fn is_short(spec: &Spec, problem: &Problem, below: usize) -> bool {
    // Twice the number of pairs of the last `q` of `kv` tokens, to stay in integers.
    let pairs = |q: usize, kv: usize| {
        let (q, kv) = (q as u128, kv as u128);
        let hidden = if spec.causal { q.saturating_sub(1) } else { 0 };
        q.saturating_mul(2 * kv - hidden)
    };
    pairs(problem.q_len, problem.kv_len) < pairs(below, below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxyattn_codegen::Budget;

    #[test]
    fn a_floor_counts_where_it_is_high() {
        let of = |spec: &Spec, arch| tokens(spec, arch);
        let ratio = Spec { budget: Budget::ratio(0.1), ..Spec::DEFAULT };
        let top = |blocks| Spec { budget: Budget::top_k(blocks), ..Spec::DEFAULT };
        assert_eq!([of(&ratio, None), of(&top(2), None)], [CPU; 2]);
        assert_eq!([of(&Spec::DEFAULT, None), of(&top(8), None)], [1024; 2]);
        assert_eq!(of(&Spec::PAPER, None), 4096);
        assert_eq!([Arch::Sm80, Arch::Sm90a].map(|arch| of(&Spec::DEFAULT, Some(arch))), [SM_80, SM_90A]);
        assert_eq!(of(&top(1000), Some(Arch::Sm90a)), 128_000);
    }

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
