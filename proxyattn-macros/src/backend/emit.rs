//! The tokens that the attribute generates.
//!
//! Every path is absolute and goes through the facade's `__private`, so that nothing in the user's scope can shadow it. The
//! inherent items have the struct's own visibility.

use super::docs;
use super::item::Item;
use proc_macro2::{Ident, Literal, TokenStream};
use proxyattn_attribute::Model;
use proxyattn_codegen::syntax::{Choice, Slot};
use proxyattn_codegen::{Dtype, Spec};
use quote::{ToTokens, format_ident, quote};

/// The documented struct with its implementations and its compile-time assertion.
pub(crate) fn kernel(item: &Item, model: &Model) -> TokenStream {
    let Item { attrs, vis, keyword, name, semicolon } = item;
    let private = private(model);
    let shared = item.shared_attrs();
    let docs = docs::of_struct(item, &model.spec);
    let spec = spec(&model.spec, &private);
    let implementations = implementations(item, model, &spec);
    let refused = format!(
        "the configuration of `{}` breaks a rule: proxyattn and proxyattn-macros have different versions",
        item.plain_name()
    );
    quote! {
        #(#attrs)*
        #(#[doc = #docs])*
        #vis #keyword #name #semicolon
        #implementations
        #shared
        const _: () = ::core::assert!(<#name as #private::AttentionKernel>::SPEC.is_valid(), #refused);
    }
}

/// Implementations that let the rest of the crate type-check after an error: the defaults, with the requested element
/// type.
pub(crate) fn stand_in(item: &Item, model: &Model) -> TokenStream {
    let private = private(model);
    let dtype = dtype(model.spec.dtype, &private);
    let spec = quote!(#private::Spec { dtype: #dtype, ..#private::Spec::DEFAULT });
    implementations(item, model, &spec)
}

fn implementations(item: &Item, model: &Model, spec: &TokenStream) -> TokenStream {
    let Item { vis, name, .. } = item;
    let private = private(model);
    let shared = item.shared_attrs();
    let plain_name = item.plain_name();
    // The attribute names element types as `half` does.
    let elem = format_ident!("{}", model.spec.dtype.as_str());
    let docs = docs::OF_LOAD;
    quote! {
        #shared
        #[automatically_derived]
        impl #private::AttentionKernel for #name {
            const NAME: &'static ::core::primitive::str = #plain_name;
            const SPEC: #private::Spec = #spec;
            type Elem = #private::#elem;
        }
        #shared
        #[automatically_derived]
        impl #name {
            #(#[doc = #docs])*
            #vis fn load(device: &#private::Device) -> #private::Result<#private::Attention<#private::#elem>> {
                <Self as #private::AttentionKernel>::load(device)
            }
        }
    }
}

fn private(model: &Model) -> TokenStream {
    match &model.facade {
        Some(facade) => quote!(#facade::__private),
        None => quote!(::proxyattn::__private),
    }
}

/// `spec` as a struct literal, every field spelled out.
fn spec(spec: &Spec, private: &TokenStream) -> TokenStream {
    let number = Literal::u32_unsuffixed;
    let count = |count: Option<u32>| option(count.map(number));
    let head_dim = number(spec.head_dim);
    let (block_q, block_kv) = (number(spec.block.q), number(spec.block.kv));
    let (groups, heads, kv_heads) = (count(spec.groups), count(spec.heads), count(spec.kv_heads));
    let (stride_q, stride_kv) = (number(spec.stride.q), number(spec.stride.kv));
    let dtype = dtype(spec.dtype, private);
    let causal = spec.causal;
    let scale = option(spec.scale.map(Literal::f64_unsuffixed));
    let scorer = choice(spec.scorer, private);
    let budget = choice(spec.budget, private);
    let (sink, local) = (number(spec.keep.sink), number(spec.keep.local));
    let archs = spec.arch.iter().map(|arch| variant(&arch));
    quote! {
        #private::Spec {
            head_dim: #head_dim,
            block: #private::Block { q: #block_q, kv: #block_kv },
            groups: #groups,
            heads: #heads,
            kv_heads: #kv_heads,
            stride: #private::Stride { q: #stride_q, kv: #stride_kv },
            dtype: #dtype,
            causal: #causal,
            scale: #scale,
            scorer: #scorer,
            budget: #budget,
            keep: #private::Keep { sink: #sink, local: #local },
            arch: #private::ArchSet::of(&[#(#private::Arch::#archs),*]),
        }
    }
}

/// A choice as its variant, every part spelled out: `Budget::TopK(TopK { blocks: 64 })`.
fn choice<C: Choice>(mut choice: C, private: &TokenStream) -> TokenStream {
    let choice_type = format_ident!("{}", C::TYPE);
    let kind_type = format_ident!("{}", choice.syntax().type_name);
    let parts = choice.kind(|kind| {
        let parts = kind.parts().into_iter();
        let fields = parts.map(|(part, slot)| {
            let (field, value) = (format_ident!("{}", part.name), value(&slot, private));
            quote!(#field: #value)
        });
        fields.collect::<Vec<_>>()
    });
    match &parts[..] {
        [] => quote!(#private::#choice_type::#kind_type),
        parts => quote!(#private::#choice_type::#kind_type(#private::#kind_type { #(#parts,)* })),
    }
}

fn value(slot: &Slot<'_>, private: &TokenStream) -> TokenStream {
    match slot {
        Slot::Number(number) => Literal::f64_unsuffixed(**number).into_token_stream(),
        Slot::Integer(integer) => Literal::u32_unsuffixed(**integer).into_token_stream(),
        Slot::Word(word) => {
            let (type_name, variant) =
                (format_ident!("{}", word.type_name()), format_ident!("{}", word.variant()));
            quote!(#private::#type_name::#variant)
        }
    }
}

fn dtype(dtype: Dtype, private: &TokenStream) -> TokenStream {
    let dtype = variant(&dtype);
    quote!(#private::Dtype::#dtype)
}

/// The name of a variant without fields, which `Debug` spells.
fn variant(value: &impl core::fmt::Debug) -> Ident {
    format_ident!("{value:?}")
}

fn option(value: Option<Literal>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
