//! The implementation of the attribute, as functions on `proc_macro2` tokens.
//!
//! ```text
//! attribute ──proxyattn-attribute──▶ Model ──emit, docs──▶ tokens
//! struct    ──item────────────────────────────▲
//! ```
//!
//! Each step reports mistakes to [`Errors`] and continues with the rest, so that one build shows every mistake. Nothing
//! here uses `proc_macro`, so tests include this module by its path.

mod docs;
mod emit;
mod item;

use proc_macro2::TokenStream;
use proxyattn_attribute::Errors;

/// Expands `#[proxy_attention(attr)] item`.
///
/// On errors the item is unchanged and gets a stand-in implementation, so that code that uses it still type-checks and only
/// the real mistakes are shown.
pub(crate) fn expand(attr: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = item::parse(tokens.clone(), &mut errors);
    let model = proxyattn_attribute::read(attr, &mut errors);
    match item {
        Some(item) if errors.is_empty() => emit::kernel(&item, &model),
        item => {
            let mut output = tokens;
            output.extend(errors.into_tokens());
            output.extend(item.map(|item| emit::stand_in(&item, &model)));
            output
        }
    }
}
