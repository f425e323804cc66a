//! Queries, keys and values like those of a language model, made from a seed.
//!
//! Sparse attention pays because a head of a trained model spends its attention on few blocks of keys. **Random tensors do not
//! have that property**: every key is as good as any other, so the default configuration visits 61% of the blocks of 8192
//! tokens of normal random numbers to reach the 60% of the attention that it asks for, and is hardly faster than dense
//! attention. Zeros have nothing to select by: the figures mean nothing. A first program, a benchmark or a test of speed needs
//! the q, k and v of a model, or [`Synthetic`].
//!
//! ```
//! use proxyattn::prelude::*;
//! use proxyattn::synthetic::{Inputs, Synthetic};
//!
//! #[proxy_attention]
//! struct Default128;
//!
//! let Inputs { q, k, v, .. } = Synthetic { tokens: 2048, ..Synthetic::DEFAULT }.generate()?;
//! let attention = Default128::load(&Device::auto())?.with_dense_below(0);
//! let trace = attention.prefill_traced(&q, &k, &v, &())?;
//! println!("{:.0}% of the blocks", 100.0 * trace.selection.density());
//! # assert!(trace.selection.density() < 0.5);
//! # Ok::<(), proxyattn::Error>(())
//! ```
//!
//! # What is generated
//!
//! One sequence: a text of segments, each about one of a few topics that come back later. The keys of a KV head hold the
//! topic of their token, in some tokens more strongly than in others, and its position; the first token is marked. Each query
//! head weighs these parts in its own way, as heads of trained models do:
//!
//! | part of a head's attention | differs between heads by |
//! |---|---|
//! | the first token, a *sink* whose value is nearly zero | its share: 0.2 to 0.6 of the attention |
//! | recent tokens | their share, and how far back they reach: 8 to 200 tokens |
//! | tokens of the query's topic, wherever they are | sharpness: from a few tokens to a large part of the context |
//! | *needles*: a few far tokens, looked for by one later span of queries | not at all: every head looks for them |
//!
//! All of it goes through the rotary embedding, as in trained models: fast planes carry the position, slow planes the
//! content, the slowest the sink.
//!
//! With seed 1 and 8 heads on 2 KV heads of 128 dims, the default configuration visits these shares of the blocks, which hold
//! these shares of the attention (the mean over heads and rows):
//!
//! | tokens | blocks | attention |
//! |---|---|---|
//! | 4096 | 0.24 | 0.92 |
//! | 8192 | 0.15 | 0.92 |
//! | 16384 | 0.11 | 0.92 |

mod context;
mod head;
mod random;

use crate::memory::{product, zeros};
use crate::problem::MAX_TOKENS;
use crate::{Element, Error, Result, Tensor};
use context::Context;
use core::ops::Range;
use rayon::prelude::*;

/// Writes the row of a head and a token, as the planes of RoPE.
type WriteRow<'a> = dyn Fn(usize, usize, &mut [[f64; 2]]) + Sync + 'a;

/// The largest number of heads.
const MAX_HEADS: usize = 1024;

/// What to generate. The same values give the same tensors, however many threads there are; on another platform the last
/// bits may differ.
///
/// ```
/// # use proxyattn::synthetic::Synthetic;
/// let small = Synthetic { tokens: 512, head_dim: 64, ..Synthetic::DEFAULT };
/// let inputs = small.generate::<half::bf16>()?;
/// assert_eq!(inputs.q.shape(), [1, 8, 512, 64]);
/// assert_eq!(inputs.k.shape(), [1, 2, 512, 64]);
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synthetic {
    /// Tokens of the sequence.
    pub tokens: usize,
    /// Query heads, 1024 at most.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head: an even number from 32 to 256.
    pub head_dim: usize,
    /// The share of queries, from 0 to 1, that look for the topic of their own token. The others look for a topic that their
    /// head associates with it, a different one in each head. At 1 all heads that share keys rank them alike.
    pub similarity: f64,
    /// Where the random numbers begin.
    pub seed: u64,
}

/// Generated `q [1, heads, tokens, head_dim]`, `k` and `v` `[1, kv_heads, tokens, head_dim]`, in host memory.
///
/// ```
/// # use proxyattn::synthetic::Synthetic;
/// let inputs = Synthetic { tokens: 1024, ..Synthetic::DEFAULT }.generate::<half::f16>()?;
/// assert!(inputs.needles.iter().all(|needle| needle.keys.end < needle.queries.start));
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Debug)]
pub struct Inputs<T> {
    /// The queries, after RoPE.
    pub q: Tensor<T>,
    /// The keys, after RoPE.
    pub k: Tensor<T>,
    /// The values.
    pub v: Tensor<T>,
    /// The needles: one for every 512 tokens, at most 64, none below 1024 tokens.
    pub needles: Vec<Needle>,
}

/// Queries that look for a few keys far before them.
///
/// ```
/// # use proxyattn::synthetic::Synthetic;
/// let inputs = Synthetic { tokens: 1024, ..Synthetic::DEFAULT }.generate::<half::bf16>()?;
/// let needle = &inputs.needles[0];
/// assert_eq!((needle.queries.len(), needle.keys.len()), (8, 1));
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needle {
    /// The tokens whose queries look for the needle.
    pub queries: Range<usize>,
    /// The tokens of the needle: 1, 2, 4 or 16.
    pub keys: Range<usize>,
}

impl Synthetic {
    /// 8192 tokens, 8 heads on 2 KV heads of 128 dims, similar heads, seed 1. With the default configuration each head visits
    /// between an eighth and a third of the blocks.
    pub const DEFAULT: Self =
        Self { tokens: 8192, heads: 8, kv_heads: 2, head_dim: 128, similarity: 0.95, seed: 1 };

    /// Makes the tensors. 8192 tokens take a few tenths of a second in an optimised build.
    ///
    /// # Errors
    /// [`Error::Shape`] for a field outside the range that it documents, [`Error::Overflow`] for more than 2³⁰ tokens,
    /// [`Error::Memory`] if the memory is not available.
    pub fn generate<T: Element>(&self) -> Result<Inputs<T>> {
        self.check()?;
        let [q, k, v] = [self.heads, self.kv_heads, self.kv_heads].map(|heads| self.room(heads));
        let (mut q, mut k, mut v) = (q?, k?, v?);
        let context = Context::new(*self)?;
        let heads = context.heads();
        self.fill(&mut q, &|head, token, planes| context.query(&heads[head], token, planes));
        self.fill(&mut k, &|head, token, planes| context.key(head, token, planes));
        self.fill(&mut v, &|head, token, planes| context.value(head, token, planes));
        let tensor = |data, heads| Tensor::from_bhsd(data, [1, heads, self.tokens, self.head_dim]);
        Ok(Inputs {
            q: tensor(q, self.heads)?,
            k: tensor(k, self.kv_heads)?,
            v: tensor(v, self.kv_heads)?,
            needles: context.into_needles(),
        })
    }

    fn check(&self) -> Result<()> {
        let refused = |arg, expected: String, got: String| Err(Error::Shape { arg, expected, got });
        if self.tokens == 0 {
            return refused("tokens", "at least 1".into(), "0".into());
        }
        if !(1..=MAX_HEADS).contains(&self.heads) {
            return refused("heads", format!("a number from 1 to {MAX_HEADS}"), self.heads.to_string());
        }
        if self.kv_heads == 0 || !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a divisor of heads = {}", self.heads);
            return refused("kv_heads", expected, self.kv_heads.to_string());
        }
        if !(32..=256).contains(&self.head_dim) || !self.head_dim.is_multiple_of(2) {
            let expected = "an even number from 32 to 256".into();
            return refused("head_dim", expected, self.head_dim.to_string());
        }
        if !(0.0..=1.0).contains(&self.similarity) {
            return refused("similarity", "a number from 0 to 1".into(), self.similarity.to_string());
        }
        if self.tokens > MAX_TOKENS {
            return Err(Error::Overflow {
                arg: "tokens",
                what: "the number of tokens",
                limit: MAX_TOKENS as u64,
                got: self.tokens.to_string(),
            });
        }
        Ok(())
    }

    /// Zeros for a tensor.
    fn room<T: Element>(&self, heads: usize) -> Result<Vec<T>> {
        zeros("synthetic inputs", product(&[heads, self.tokens, self.head_dim]))
    }

    /// Lets `write` write each row, as pairs of the elements `i` and `i + head_dim / 2`: the planes of RoPE.
    fn fill<T: Element>(&self, data: &mut [T], write: &WriteRow<'_>) {
        let (tokens, half) = (self.tokens, self.head_dim / 2);
        data.par_chunks_mut(self.head_dim).enumerate().for_each_init(
            || vec![[0.0; 2]; half],
            |planes, (row, out)| {
                planes.fill([0.0; 2]);
                write(row / tokens, row % tokens, planes);
                let (first, second) = out.split_at_mut(half);
                for ((first, second), plane) in first.iter_mut().zip(second).zip(planes) {
                    (*first, *second) = (T::from_f32(plane[0] as f32), T::from_f32(plane[1] as f32));
                }
            },
        );
    }
}

impl Default for Synthetic {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    const SMALL: Synthetic = Synthetic { tokens: 2048, heads: 4, head_dim: 64, ..Synthetic::DEFAULT };

    fn elements(inputs: &Inputs<bf16>) -> [&[bf16]; 3] {
        [&inputs.q, &inputs.k, &inputs.v].map(|tensor| tensor.as_slice())
    }

    #[test]
    fn the_tensors_depend_on_the_fields_alone() {
        let first = SMALL.generate().unwrap();
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let again = alone.install(|| SMALL.generate().unwrap());
        assert_eq!((elements(&again), &again.needles), (elements(&first), &first.needles));
        let other = Synthetic { seed: 2, ..SMALL }.generate().unwrap();
        assert!(elements(&other).iter().zip(elements(&first)).all(|(other, first)| *other != first));
        assert!(other.needles != first.needles);
        let halves: Inputs<f16> = SMALL.generate().unwrap();
        let close = |a: &bf16, b: &f16| (a.to_f32() - b.to_f32()).abs() <= 0.01 * b.to_f32().abs() + 1e-3;
        assert!(elements(&first)[0].iter().zip(halves.q.as_slice()).all(|(a, b)| close(a, b)));
    }

    #[test]
    fn needles_lie_apart_and_long_before_their_queries() {
        let mut needles = Synthetic { tokens: 8192, ..SMALL }.generate::<bf16>().unwrap().needles;
        assert_eq!(needles.len(), 16);
        needles.sort_by_key(|needle| needle.keys.start);
        assert!(needles.windows(2).all(|pair| pair[0].keys.end <= pair[1].keys.start));
        assert!(needles.iter().all(|n| n.keys.start + 256 < n.queries.start && n.queries.end <= 8192));
    }

    #[test]
    fn any_length_is_finite() {
        for (tokens, head_dim) in [(1, 32), (2, 96), (63, 256), (1025, 34)] {
            let inputs = Synthetic { tokens, head_dim, heads: 3, kv_heads: 1, ..Synthetic::DEFAULT }
                .generate()
                .unwrap();
            let finite = |elements: &[bf16]| elements.iter().all(|x| x.is_finite());
            assert!(elements(&inputs).into_iter().all(finite), "{tokens} × {head_dim}");
            assert!(inputs.q.as_slice().iter().any(|x| *x != bf16::ZERO), "{tokens} × {head_dim}");
        }
    }

    #[test]
    fn bad_fields_are_refused_by_name() {
        let refuse = |inputs: Synthetic| inputs.generate::<bf16>().unwrap_err().to_string();
        assert_eq!(refuse(Synthetic { tokens: 0, ..SMALL }), "`tokens`: expected at least 1, got 0");
        assert_eq!(
            refuse(Synthetic { kv_heads: 3, ..SMALL }),
            "`kv_heads`: expected a divisor of heads = 4, got 3"
        );
        assert_eq!(
            refuse(Synthetic { head_dim: 33, ..SMALL }),
            "`head_dim`: expected an even number from 32 to 256, got 33"
        );
        assert_eq!(
            refuse(Synthetic { similarity: f64::NAN, ..SMALL }),
            "`similarity`: expected a number from 0 to 1, got NaN"
        );
        assert!(
            refuse(Synthetic { tokens: 1 << 31, ..SMALL })
                .starts_with("`tokens`: the number of tokens overflows")
        );
        assert!(
            refuse(Synthetic { heads: 1025, ..SMALL })
                .starts_with("`heads`: expected a number from 1 to 1024")
        );
        let huge = Synthetic { tokens: 1 << 30, heads: 1024, head_dim: 256, ..SMALL };
        assert!(refuse(huge).starts_with("`synthetic inputs`: cannot allocate 562949953421312 bytes"));
    }
}
