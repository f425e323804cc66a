//! Keys and items that come out of `macro_rules!`, with the invisible groups that it puts around them.
#![deny(warnings)]

use proxyattn::prelude::*;

macro_rules! kernels {
    ($facade:path; $($(#[$meta:meta])* $vis:vis $name:ident: $block:expr, $groups:literal, $dtype:ident;)*) => {
        $(
            #[proxy_attention(block = $block, groups = $groups, dtype = $dtype, crate = $facade)]
            $(#[$meta])*
            $vis struct $name;
        )*
    };
}

macro_rules! annotated {
    ($item:item) => {
        #[proxy_attention(causal = false)]
        $item
    };
}

kernels! {
    ::proxyattn;
    /// Small blocks.
    Small: 32, 2, bf16;
    /// Large blocks.
    pub(crate) Large: 128, 8, f16;
}

annotated! {
    struct Whole;
}

fn main() {
    assert_eq!((Small::SPEC.block.q, Large::SPEC.block.kv), (32, 128));
    assert_eq!((Small::SPEC.groups, Large::SPEC.groups), (Some(2), Some(8)));
    assert!(!Whole::SPEC.causal);
    let device = Device::cpu();
    assert!(Small::load(&device).is_ok() && Large::load(&device).is_ok() && Whole::load(&device).is_ok());
}
