use proxyattn::prelude::*;

#[proxy_attention(scorer(proxy))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
