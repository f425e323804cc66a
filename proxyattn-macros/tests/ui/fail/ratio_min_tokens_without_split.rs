use proxyattn::prelude::*;

#[proxy_attention(budget = ratio(0.1, min_tokens = 512))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
