use proxyattn::prelude::*;

#[proxy_attention(scorer = proxy(sums = max))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
