use proxyattn::prelude::*;

#[proxy_attention(block = 128, budget = dynamic(min_tokens = 100))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
