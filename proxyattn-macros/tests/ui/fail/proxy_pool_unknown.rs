use proxyattn::prelude::*;

#[proxy_attention(scorer = proxy(pool = mean))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
