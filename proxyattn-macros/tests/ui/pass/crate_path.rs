//! The facade under another name, as a crate that re-exports it has it.

mod engine {
    pub mod reexports {
        pub use proxyattn as attention;
    }
}

mod kernels {
    #[proxyattn::proxy_attention(crate = crate::engine::reexports::attention, dtype = f16)]
    pub struct Kernel;

    use super::engine::reexports::attention as short;

    #[proxyattn::proxy_attention(crate = short)]
    pub struct Relative;
}

fn main() {
    use proxyattn::{AttentionKernel, Device};
    fn is_f16<K: AttentionKernel<Elem = proxyattn::prelude::f16>>() {}
    is_f16::<kernels::Kernel>();
    assert!(kernels::Relative::load(&Device::cpu()).is_ok());
}
