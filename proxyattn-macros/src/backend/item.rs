//! The struct under the attribute.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use proxyattn_attribute::Errors;
use proxyattn_attribute::flatten;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Generics, Ident, Token, Visibility};

/// A unit struct, taken apart where the documentation goes in.
pub(crate) struct Item {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) keyword: Token![struct],
    pub(crate) name: Ident,
    /// Absent from a struct with a body, which is an error.
    pub(crate) semicolon: Option<Token![;]>,
}

impl Item {
    /// The name without the `r#` of a raw identifier.
    pub(crate) fn plain_name(&self) -> String {
        self.name.unraw().to_string()
    }

    /// Attributes for everything generated along with the struct: the struct's `cfg`s, and permission to name the struct
    /// even if it is deprecated.
    pub(crate) fn shared_attrs(&self) -> TokenStream {
        let has = |name: &'static str| self.attrs.iter().filter(move |attr| attr.path().is_ident(name));
        let cfgs = has("cfg");
        let allow = has("deprecated").next().map(|_| quote!(#[allow(deprecated)]));
        quote!(#(#cfgs)* #allow)
    }
}

/// Reads the item. A struct that is not a unit struct is reported, and still returned if an
/// implementation for its name would compile.
pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Item> {
    let read = |input: ParseStream<'_>| {
        let item = read(input, errors);
        // The rest was checked above; syn would report it a second time.
        let _rest: TokenStream = input.parse()?;
        item
    };
    match read.parse2(tokens.clone()) {
        Ok(item) => item,
        Err(_) => {
            let found = kind(&tokens);
            let message = format!("`#[proxy_attention]` goes on a unit struct, not on {found}");
            // Only the head of the item: otherwise its documentation and whole body would be underlined.
            let head: TokenStream =
                without_attributes(&flatten(tokens)).iter().take_while(is_not_body).cloned().collect();
            errors.push_with_help(head, message, "write `pub struct Name;`: the struct names the kernel");
            None
        }
    }
}

fn read(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Option<Item>> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis = input.parse()?;
    let keyword = input.parse()?;
    let name: Ident = input.parse()?;
    let generics: Generics = input.parse()?;
    let item = Item {
        attrs,
        vis,
        keyword,
        name,
        semicolon: input.peek(Token![;]).then(|| input.parse()).transpose()?,
    };
    let name = &item.name;
    let twice = item
        .attrs
        .iter()
        .find(|attr| attr.path().segments.last().is_some_and(|s| s.ident == "proxy_attention"));
    if let Some(second) = twice {
        let message = format!("`#[proxy_attention]` is given twice on `{name}`");
        errors.push_with_help(second, message, "write all keys into one");
        // The second attribute expands after this one, and brings the implementation.
        return Ok(None);
    }
    if let Some(first) = generics.params.first() {
        let message = format!("`#[proxy_attention]` goes on a unit struct, and `{name}` is generic");
        errors.push_with_help(first, message, "a kernel is one configuration: write one struct for each");
        return Ok(None);
    }
    if item.semicolon.is_none() {
        let rest: TokenStream = input.fork().parse()?;
        let body: TokenStream = rest.into_iter().take(1).collect();
        let message = format!("`#[proxy_attention]` goes on a unit struct, and `{name}` has a body");
        errors.push_with_help(
            body,
            message,
            format_args!("write `struct {name};`: it names a kernel and holds nothing"),
        );
    }
    Ok(Some(item))
}

fn without_attributes(mut tokens: &[TokenTree]) -> &[TokenTree] {
    while let [TokenTree::Punct(hash), TokenTree::Group(_), rest @ ..] = tokens
        && hash.as_char() == '#'
    {
        tokens = rest;
    }
    tokens
}

fn is_not_body(token: &&TokenTree) -> bool {
    !matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// What kind of item `tokens` are, in words.
fn kind(tokens: &TokenStream) -> &'static str {
    let head = flatten(tokens.clone());
    let words = head.iter().filter_map(|token| match token {
        TokenTree::Ident(word) => Some(word.to_string()),
        _ => None,
    });
    // `const fn` is a function, so `fn` goes before the words that may stand before it.
    let words: Vec<_> = words.collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    [
        ("fn", "a function"),
        ("impl", "an impl block"),
        ("enum", "an enum"),
        ("union", "a union"),
        ("trait", "a trait"),
        ("mod", "a module"),
        ("type", "a type alias"),
        ("static", "a static"),
        ("const", "a constant"),
        ("use", "an import"),
    ]
    .into_iter()
    .find(|(word, _)| has(word))
    .map_or("this item", |(_, kind)| kind)
}
