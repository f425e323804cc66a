//! Kernels that live inside functions and closures.
#![deny(warnings)]

use proxyattn::prelude::*;

fn load() -> bool {
    #[proxy_attention(groups = 4)]
    struct Local;

    Local::load(&Device::cpu()).is_ok()
}

fn main() {
    let nested = || {
        #[proxy_attention(budget = ratio(0.10))]
        struct Nested;
        Nested::load(&Device::cpu()).is_ok()
    };
    assert!(load() && nested());
}
