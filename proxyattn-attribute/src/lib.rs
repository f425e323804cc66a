//! The arguments of `#[proxy_attention(…)]`, from tokens to a [`Spec`](proxyattn_codegen::Spec).
//!
//! ```text
//! tokens ──args, value──▶ Arg ──parse, choice──▶ Raw ──model──▶ Spec
//! ```
//!
//! Each step reports mistakes to [`Errors`] and continues with the rest, so that every mistake is shown at once. Nothing
//! here uses `proc_macro`: the macro and the command line share this parser.

#![deny(missing_docs)]

mod args;
mod choice;
mod errors;
mod model;
mod parse;
mod pasted;
mod suggest;
mod value;

pub use args::flatten;
pub use errors::Errors;
pub use model::Model;
pub use pasted::arguments;

use proc_macro2::TokenStream;

/// Reads the arguments. Mistakes are reported to `errors`, and the keys concerned keep their defaults in the model.
pub fn read(arguments: TokenStream, errors: &mut Errors) -> Model {
    model::resolve(parse::parse(arguments, errors), errors)
}
