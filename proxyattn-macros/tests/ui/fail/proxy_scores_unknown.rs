use proxyattn::prelude::*;

#[proxy_attention(scorer = proxy(scores = fp8))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
