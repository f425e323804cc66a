use proxyattn::prelude::*;

#[proxy_attention(scorer = proxy(sum = maxima))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
