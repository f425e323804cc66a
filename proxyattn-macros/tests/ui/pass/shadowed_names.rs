//! Whatever the names of the prelude mean where the attribute stands, the expansion means the real ones.
#![allow(dead_code, unused_macros, non_camel_case_types)]

mod shadowed {
    pub mod core {}
    pub mod std {}
    pub mod proxyattn {}
    pub struct Option;
    pub struct Some;
    pub struct None;
    pub struct Result;
    pub struct Ok;
    pub struct Spec;
    pub struct Attention;
    pub struct Device;
    pub struct bf16;
    pub struct str;
    pub struct bool;
    pub struct u32;
    pub trait AttentionKernel {}
    macro_rules! assert {
        ($($any:tt)*) => {
            compile_error!("not this one")
        };
    }

    #[::proxyattn::proxy_attention(groups = 4, scale = 0.125, heads = 8, kv_heads = 4)]
    pub struct Kernel;
}

fn main() {
    use proxyattn::AttentionKernel;
    let spec = <shadowed::Kernel as AttentionKernel>::SPEC;
    assert_eq!((spec.groups, spec.scale, spec.heads), (Some(4), Some(0.125), Some(8)));
    assert!(shadowed::Kernel::load(&proxyattn::Device::cpu()).is_ok());
}
