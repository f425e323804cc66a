use proxyattn::prelude::*;

#[proxy_attention(block = 128, budget = ratio(0.1, split = heads, min_tokens = 64))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
