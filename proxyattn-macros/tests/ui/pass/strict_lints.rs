//! A crate that denies everything, documentation included, can still use the attribute.
#![deny(missing_docs, warnings, rust_2018_idioms, unused, nonstandard_style, future_incompatible)]
#![deny(missing_debug_implementations, unused_qualifications, unreachable_pub, let_underscore_drop)]
#![forbid(unsafe_code, dead_code)]

use proxyattn::prelude::*;

/// Prefill of a 128K context.
#[proxy_attention(block = 64, groups = 4)]
#[derive(Clone, Copy, Debug)]
pub struct Documented;

#[proxy_attention(budget = all)]
#[derive(Debug)]
pub struct Undocumented;

/// A kernel with a raw name.
#[proxy_attention]
#[derive(Debug)]
#[allow(non_camel_case_types)]
pub struct r#dyn;

/// A kernel that others should not use any more.
#[proxy_attention]
#[deprecated(note = "use `Documented`")]
#[derive(Debug)]
pub struct Deprecated;

fn main() {
    let device = Device::cpu();
    assert!(Documented::load(&device).is_ok());
    assert!(Undocumented::load(&device).is_ok());
    assert_eq!(<r#dyn as AttentionKernel>::NAME, "dyn");
}
