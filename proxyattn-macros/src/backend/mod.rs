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
mod rename;

use proc_macro2::{Ident, Span, TokenStream};
use proxyattn_attribute::Errors;
use quote::ToTokens;

/// Expands `#[proxy_attention(attr)] item`.
///
/// On errors the item is unchanged and gets a stand-in implementation, so that code that uses it still type-checks and only
/// the real mistakes are shown.
pub(crate) fn expand(attr: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = item::parse(tokens.clone(), &mut errors);
    let mut model = proxyattn_attribute::read(attr, &mut errors);
    if model.facade.is_none()
        && let Some(name) = rename::of_process()
    {
        let message = format!("the dependency `proxyattn` has the name `{name}` here");
        errors.push_with_help(TokenStream::new(), message, format_args!("write `crate = {name}`"));
        model.facade = Some(Ident::new(&name, Span::call_site()).into_token_stream());
    }
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
