//! The arguments of `#[proxy_attention(…)]`, from tokens to a [`Spec`](proxyattn_codegen::Spec).
//!
//! ```text
//! tokens ──args, value──▶ Arg ──parse, budget──▶ Raw ──model──▶ Spec
//! ```
//!
//! A step that meets something wrong tells [`Errors`] and goes on with what is left, so that one look shows every
//! mistake. Nothing here touches `proc_macro`: the macro and the command line read the same text in the same way.

#![deny(missing_docs)]

mod args;
mod budget;
mod errors;
mod model;
mod parse;
mod suggest;
mod value;

pub use args::flatten;
pub use errors::Errors;
pub use model::Model;

use proc_macro2::TokenStream;

/// Reads the arguments. What cannot be read is told to `errors`, and keeps its default in the model.
pub fn read(arguments: TokenStream, errors: &mut Errors) -> Model {
    model::resolve(parse::parse(arguments, errors), errors)
}
