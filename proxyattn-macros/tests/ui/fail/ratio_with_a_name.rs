use proxyattn::prelude::*;

#[proxy_attention(budget = ratio(share = 0.1))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
