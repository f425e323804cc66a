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
/// | `stride` | divides `block` | `stride(q = 4, kv = 1)` | window of a scorer that uses the first token of each window; `stride = 4` sets both sides |
/// | `dtype` | `bf16`, `f16` | `bf16` | element type of Q, K, V and the output |
/// | `causal` | alone, `true`, `false` | `true` | whether a query sees only keys up to its own position |
/// | `scale` | 1e-30 to 2.3586e38 | `1/√head_dim` | factor on q·k before the softmax |
/// | `scorer` | see below | `proxy(sums = maxima, scores = e4m3)` | how blocks are scored |
/// | `budget` | see below | `dynamic(gamma = 0.6, min_tokens = 512, rows = ratio, order = list, weigh = values)` | how many blocks a head visits |
/// | `keep` | `keep(sink = 1, local = 0)` | the same | blocks kept regardless of score: the first `sink`, and the `local` before the diagonal; the diagonal is always kept |
/// | `arch` | any of `sm_80`, `sm_90a`, at least one | `arch(sm_80, sm_90a)` | GPU families that the kernel is generated for; the CPU needs none |
/// | `preset` | `paper` | none | starts from a named setting; other keys override it |
/// | `crate` | a path | `::proxyattn` | the path of `proxyattn`, if you re-export it or the dependency has another name: `crate = pa` |
///
/// In a key with parts, a part that you leave out keeps its default, or the preset's value.
///
/// ## `scorer`
///
/// | kind | how blocks are scored |
/// |---|---|
#[doc = proxyattn_codegen::scorers!(proxyattn_codegen::kinds_in_a_table)]
///
/// ## `budget`
///
/// | kind | key blocks that a head visits in each row of blocks |
/// |---|---|
#[doc = proxyattn_codegen::budgets!(proxyattn_codegen::kinds_in_a_table)]
///
/// The parts of a kind are the fields of its struct, which has the formula, the values of the parts and their defaults:
/// `proxy(sums = exact)` sets [`Proxy::sums`](https://docs.rs/proxyattn-codegen/latest/proxyattn_codegen/struct.Proxy.html).
/// Every struct is listed under [`Scorer`](https://docs.rs/proxyattn-codegen/latest/proxyattn_codegen/enum.Scorer.html) and
/// [`Budget`](https://docs.rs/proxyattn-codegen/latest/proxyattn_codegen/enum.Budget.html). A part with a default may be left
/// out; a kind without parts is written by its name alone: `budget = all`.
///
/// Shares are rounded to the nearest millionth: `ratio(0.07)` of 100 blocks is 7.
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
