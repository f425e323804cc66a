//! Collects errors, so that one build reports all of them.

use core::fmt::Display;
use proc_macro2::TokenStream;
use quote::ToTokens;

/// The errors so far, in source order.
#[derive(Default)]
pub struct Errors(Vec<syn::Error>);

impl Errors {
    /// Adds an error that points at the tokens `at`, or at the attribute where `at` is empty.
    pub fn push(&mut self, at: impl ToTokens, message: impl Display) {
        self.0.push(syn::Error::new_spanned(at, message));
    }

    /// Adds an error with a line that says what to write instead.
    pub fn push_with_help(&mut self, at: impl ToTokens, message: impl Display, help: impl Display) {
        self.push(at, format_args!("{message}\nhelp: {help}"));
    }

    /// Whether there are no errors so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many errors there are so far.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The errors, each with its place and, after `\nhelp: `, what to write instead.
    pub fn iter(&self) -> impl Iterator<Item = &syn::Error> {
        self.0.iter()
    }

    /// One `compile_error!` for each error.
    pub fn into_tokens(self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }
}
