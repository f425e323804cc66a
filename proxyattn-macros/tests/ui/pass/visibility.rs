//! The generated items are as visible as the struct, so that no lint about reachability or use fires.
#![deny(warnings, unreachable_pub, dead_code)]

mod kernels {
    use proxyattn::prelude::*;

    #[proxy_attention(groups = 4)]
    struct Private;

    #[proxy_attention(groups = 4)]
    pub(super) struct ForTheParent;

    #[proxy_attention(groups = 4)]
    pub(crate) struct ForTheCrate;

    pub(super) fn private_name() -> &'static str {
        super::name(Private::load(&Device::cpu()).unwrap())
    }
}

use proxyattn::{Attention, AttentionKernel, Device, Element};

/// Loaded as a type parameter: `load` of the struct itself is never called.
mod by_type {
    #[proxyattn::proxy_attention]
    pub(super) struct Kernel;
}

fn name<T: Element>(attention: Attention<T>) -> &'static str {
    attention.name()
}

fn load<K: AttentionKernel>(device: &Device) -> Attention<K::Elem> {
    K::load(device).unwrap()
}

fn main() {
    let device = Device::cpu();
    assert_eq!(kernels::private_name(), "Private");
    assert_eq!(name(kernels::ForTheParent::load(&device).unwrap()), "ForTheParent");
    assert_eq!(name(kernels::ForTheCrate::load(&device).unwrap()), "ForTheCrate");
    assert_eq!(name(load::<by_type::Kernel>(&device)), "Kernel");
}
