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
/// ```ignore
/// // Ignored: this crate cannot depend on `proxyattn`, whose documentation runs the same lines.
/// use proxyattn::prelude::*;
///
/// /// 128K prefill for a Llama-3.1-8B shape.
/// #[proxy_attention(block = 64, groups = 4)]
/// pub struct LlamaPrefill;
///
/// let attention = LlamaPrefill::load(&Device::auto())?;
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
/// | `scorer` | `proxy` | `proxy` | how blocks are scored |
/// | `budget` | see below | `dynamic(gamma = 0.9, min_tokens = 512, rows = ratio)` | how many blocks a head visits |
/// | `keep` | `keep(sink = 1, local = 0)` | the same | blocks kept regardless of score: the first `sink`, and the `local` before the diagonal; the diagonal is always kept |
/// | `arch` | any of `sm_80`, `sm_90a`, at least one | `arch(sm_80, sm_90a)` | GPU families that the kernel is generated for; the CPU needs none |
/// | `preset` | `paper` | none | starts from a named setting; other keys override it |
/// | `crate` | a path | `::proxyattn` | the path of `proxyattn`, if you re-export it |
///
/// In a key with parts, a part that you leave out keeps its default, or the preset's value.
///
/// ## `budget`
///
/// | kind | key blocks that a head visits in each block row |
/// |---|---|
/// | `budget = dynamic(gamma = 0.9, min_tokens = 512, rows = ratio)` | the fewest that hold the share `gamma`, in (0, 1], of the softmax mass of the head's last queries, and at least `min_tokens` worth of them |
/// | `budget = top_k(blocks = 64)` | this many; at least the blocks that are always kept |
/// | `budget = ratio(0.10)` | this share, in (0, 1], of the blocks that the row can see, rounded up |
/// | `budget = all` | every block: dense attention |
///
/// Shares are rounded to the nearest millionth: `ratio(0.07)` of 100 blocks is 7.
///
/// A dynamic budget is measured on the last row. `rows = ratio` gives every other row the same share of its visible
/// blocks; `rows = absolute` gives every row the same count.
///
/// ## `preset = paper`
///
/// The setting that the ProxyAttn paper (arXiv 2509.24745) evaluates: `stride = 4` and
/// `budget = dynamic(gamma = 0.95, min_tokens = 2048, rows = absolute)`. Together with the preset,
/// `budget = dynamic(gamma = 0.9)` keeps the paper's `min_tokens` and `rows`, and `stride(kv = 1)` keeps its query stride.
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
