//! The attribute of [`proxyattn`](https://docs.rs/proxyattn). Depend on `proxyattn`, which re-exports it: the generated
//! code uses paths of that crate.

#![deny(missing_docs)]

mod backend;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Turns a unit struct into an attention kernel.
///
/// The struct names one configuration of block-sparse prefill attention. The attribute checks the configuration while your
/// crate compiles, and errors point at the value that is wrong.
///
/// ```
/// use proxyattn::prelude::*;
///
/// /// 128K prefill for a Llama-3.1-8B shape.
/// #[proxy_attention(block = 64, groups = 4)]
/// pub struct LlamaPrefill;
///
/// let attention = LlamaPrefill::load(&Device::auto())?;
/// # assert_eq!(attention.spec().groups, Some(4));
/// # Ok::<(), proxyattn::Error>(())
/// ```
///
/// # Keys
///
/// Every key is optional, and each may be given once, in any order.
///
/// | key | values | default | meaning |
/// |---|---|---|---|
/// | `head_dim` | `64`, `96`, `128`, `256` | `128` | width of one head |
/// | `block` | `32`, `64`, `128` | `64` | tokens that are kept or dropped together; `block(q = 128, kv = 64)` sets queries and keys separately |
/// | `groups` | at least 1 | one per KV head | proxy heads; each scores blocks for a whole number of KV heads, so it must divide them |
/// | `heads` | at least 1 | any | query heads, fixed and checked |
/// | `kv_heads` | at least 1, divides `heads` | any | key/value heads, fixed and checked |
/// | `stride` | divides `block` | `stride(q = 4, kv = 1)` | window of the scorer, which uses the first token of each window; `stride = 4` sets both sides |
/// | `dtype` | `bf16`, `f16` | `bf16` | element type of Q, K, V and the output |
/// | `causal` | alone, `true`, `false` | `true` | whether a query sees only keys up to its own position |
/// | `scale` | 1e-30 to 2.3586e38 | `1/√head_dim` | factor on q·k before the softmax |
/// | `scorer` | see below | `proxy(sums = maxima, scores = e4m3)` | how blocks are scored |
/// | `budget` | see below | `dynamic(gamma = 0.6, min_tokens = 512, rows = ratio, order = list, weigh = values)` | how many blocks a head visits |
/// | `keep` | `keep(sink = 1, local = 0)` | the same | blocks kept regardless of score: the first `sink`, and the `local` before the diagonal; the diagonal is always kept |
/// | `arch` | any of `sm_80`, `sm_90a`, at least one | `arch(sm_80, sm_90a)` | GPU families that the kernel is generated for; the CPU needs none |
/// | `preset` | `paper` | none | starts from a named setting; other keys override it |
/// | `crate` | a path | `::proxyattn` | the path of `proxyattn`, if you re-export it |
///
/// In a key with parts, a part that you leave out keeps its default, or the preset's value.
///
/// ## `scorer`
///
/// `scorer = proxy(sums = maxima, scores = e4m3)` takes the mean query of a group's heads at the first token of each window
/// of `stride`, and the group's mean keys. The score of a row of blocks and a block is the largest m(s, j) − lse(s) over the
/// row's query samples s, where m(s, j) is the largest logit over the key samples of block j that s sees.
///
/// | part | value | meaning |
/// |---|---|---|
/// | `sums` | `maxima` | lse(s) = log Σ exp(m(s, j)) over the blocks j of which s sees a key sample: one exponential for a block |
/// | | `exact` | lse(s) = log Σ exp(logit) over all key samples that s sees: the paper's softmax |
/// | `scores` | `e4m3` | products of 8-bit floats: keys less their centre, the mean of the keys at the first tokens of at most 64 evenly spaced blocks; a power of two for each query sample and each block of keys, so that the largest magnitude is at most 448 |
/// | | `native` | products in the element type |
///
/// With three bits of mantissa, `e4m3` cannot tell blocks apart that differ by less than a sixteenth of a product's size,
/// once what all keys share is gone: tests find no wrong list up to logits of 20,000 nats, and at 128 dims on Hopper some
/// from 50,000 on. Write `scores = native` for a model beyond that. The centre and a block's power of two are those of all
/// keys of the call, so which blocks a query visits depends slightly on keys that it does not see, and never on tokens of
/// later calls.
///
/// ## `budget`
///
/// | kind | key blocks that a head visits in each block row |
/// |---|---|
/// | `budget = dynamic(gamma = 0.6, min_tokens = 512, rows = ratio, order = list, weigh = values)` | the fewest that hold the share `gamma`, in (0, 1], of the softmax mass of the head's last queries, and at least `min_tokens` worth of them |
/// | `budget = top_k(blocks = 64)` | this many; at least the blocks that are always kept |
/// | `budget = ratio(0.10)` | this share, in (0, 1], of the blocks that the row can see, rounded up |
/// | `budget = ratio(0.10, split = heads, min_tokens = 512)` | on average this share; heads divide the total by their mass, and each has at least `min_tokens` worth of blocks |
/// | `budget = all` | every block: dense attention |
///
/// Shares are rounded to the nearest millionth: `ratio(0.07)` of 100 blocks is 7.
///
/// A dynamic budget is measured on the last row. The mass of block j is Σ p(t, s) · w(s) over the last `min(block.q, q_len)`
/// queries t and the keys s of the block that t sees, with the head's own probabilities p, as a share of the sum over all
/// blocks.
///
/// | part | value | meaning |
/// |---|---|---|
/// | `rows` | `ratio` | every other row has the same share of its visible blocks |
/// | | `absolute` | every row has the same count |
/// | `order` | `list` | the first c blocks of the list hold `gamma`: those that are always kept, then by score |
/// | | `own` | the c blocks of the largest mass hold `gamma`: the paper's rule |
/// | `weigh` | `values` | w(s) = ‖v(s)‖₂, the norm of the key's value |
/// | | `none` | w(s) = 1: the paper's rule |
///
/// `ratio(…, split = heads)` gives the heads of a layer `heads · ⌈share · visible⌉` blocks of the last row together. Each has
/// as many as hold a share γ of its mass, weighed by values and in the order of the list, with the largest γ at which the
/// counts do not exceed the total. Other rows have the same share of their visible blocks. With `split = none`, which is the
/// default, `min_tokens` has no effect and is refused.
///
/// ## `preset = paper`
///
/// The setting that the ProxyAttn paper (arXiv 2509.24745) evaluates: `stride = 4`,
/// `scorer = proxy(sums = exact, scores = native)` and
/// `budget = dynamic(gamma = 0.95, min_tokens = 2048, rows = absolute, order = own, weigh = none)`. Together with the preset,
/// `budget = dynamic(gamma = 0.9)` keeps the paper's other parts, and `stride(kv = 1)` keeps its query stride. A kind that is
/// not the preset's has its own defaults.
///
/// # What is generated
///
/// For `pub struct LlamaPrefill;`:
///
/// - the struct as you wrote it, with a table of the resolved configuration in its documentation;
/// - `impl AttentionKernel for LlamaPrefill`: the configuration as constants, and the element type;
/// - `pub fn load(device: &Device) -> Result<Attention<bf16>>` (or `f16`), with the struct's own visibility;
/// - a compile-time assertion that the configuration satisfies every rule.
///
/// # Errors
///
/// One build reports every mistake, each at the value to change, with a suggestion:
///
/// ```text
/// error: `stride(q)` must divide `block(q)`, and 5 does not divide 64
///        help: its divisors are 1, 2, 4, 8, 16, 32, 64
///  --> src/main.rs:3:30
///   |
/// 3 | #[proxy_attention(stride(q = 5))]
///   |                              ^
/// ```
///
/// Values must be literals: the attribute is expanded before constants are evaluated.
#[proc_macro_attribute]
pub fn proxy_attention(attr: TokenStream, item: TokenStream) -> TokenStream {
    backend::expand(attr.into(), item.into()).into()
}
