//! The shape of a call.

use crate::{Error, Result};
use proxyattn_codegen::{Spec, cuda::Shape};
use serde::{Deserialize, Serialize};

/// The shape of one prefill: `q [batch, heads, q_len, D]`, `k` and `v` `[batch, kv_heads, kv_len, D]`.
///
/// ```
/// use proxyattn::prelude::*;
///
/// #[proxy_attention(heads = 32, kv_heads = 8)]
/// struct Layer;
///
/// // 1024 new tokens after 31 Ki cached ones.
/// let problem = Problem { batch: 1, heads: 32, kv_heads: 8, q_len: 1024, kv_len: 32 << 10 };
/// let attention = Layer::load(&Device::cpu())?;
/// assert!(!attention.plan(&problem)?.is_dense());
/// attention.warmup(&[problem])?;
/// assert_eq!(problem, Problem::of::<Layer, 32, 8>(1, 1024, 32 << 10));
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Number of sequences.
    pub batch: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Query tokens. With `q_len < kv_len` they are the last ones of the context (chunked prefill); more than `kv_len`
    /// only without a causal mask (cross-attention).
    pub q_len: usize,
    /// Key tokens.
    pub kv_len: usize,
}

/// The maximum number of tokens, so that block indices and key positions fit in 32 bits.
pub(crate) const MAX_TOKENS: usize = 1 << 30;

/// The same with codegen's integer types.
impl From<&Problem> for Shape {
    fn from(problem: &Problem) -> Self {
        Self {
            batch: problem.batch as u64,
            heads: problem.heads as u64,
            kv_heads: problem.kv_heads as u64,
            q_len: problem.q_len as u64,
            kv_len: problem.kv_len as u64,
        }
    }
}

impl Problem {
    /// Rejects problems that `spec` cannot run.
    pub(crate) fn check(&self, spec: &Spec) -> Result<()> {
        let positive = [
            ("batch", self.batch),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("q_len", self.q_len),
            ("kv_len", self.kv_len),
        ];
        for (arg, value) in positive {
            if value == 0 {
                return Err(Error::Shape { arg, expected: "at least 1".into(), got: "0".into() });
            }
        }
        if spec.causal && self.kv_len < self.q_len {
            return Err(Error::Shape {
                arg: "kv_len",
                expected: format!(
                    "at least q_len = {}, because causal queries are the end of the context (for cross-attention, declare \
                     `causal = false`)",
                    self.q_len
                ),
                got: format!("{}", self.kv_len),
            });
        }
        for (arg, tokens) in [("kv_len", self.kv_len), ("q_len", self.q_len)] {
            if tokens > MAX_TOKENS {
                return Err(Error::Overflow {
                    arg,
                    what: "the number of tokens",
                    limit: MAX_TOKENS as u64,
                    got: format!("{tokens}"),
                });
            }
        }
        self.check_heads(spec)?;
        let tokens = self.q_len.max(self.kv_len);
        let elements = [self.batch, self.heads, tokens, spec.head_dim as usize];
        elements.into_iter().try_fold(4usize, usize::checked_mul).map(drop).ok_or_else(|| Error::Overflow {
            arg: "q",
            what: "the number of bytes",
            limit: usize::MAX as u64,
            got: format!("{} batches × {} heads × {} tokens", self.batch, self.heads, tokens),
        })
    }

    fn check_heads(&self, spec: &Spec) -> Result<()> {
        let pinned = [("heads", spec.heads, self.heads), ("kv_heads", spec.kv_heads, self.kv_heads)];
        for (arg, declared, given) in pinned {
            if let Some(declared) = declared
                && declared as usize != given
            {
                let expected = format!("{declared} as the kernel declares");
                return Err(Error::Shape { arg, expected, got: format!("{given}") });
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(Error::Shape {
                arg: "kv_heads",
                expected: format!("a divisor of heads = {}", self.heads),
                got: format!("{}", self.kv_heads),
            });
        }
        if let Some(groups) = spec.groups
            && !self.kv_heads.is_multiple_of(groups as usize)
        {
            return Err(Error::Shape {
                arg: "kv_heads",
                expected: format!("a multiple of the kernel's groups = {groups}"),
                got: format!("{}", self.kv_heads),
            });
        }
        Ok(())
    }

    /// Query heads that share one KV head.
    pub fn heads_per_kv(&self) -> usize {
        self.heads / self.kv_heads
    }
}
