use proxyattn::prelude::*;

#[proxy_attention(budget = fitted(0.7, min_tokens = 32))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
