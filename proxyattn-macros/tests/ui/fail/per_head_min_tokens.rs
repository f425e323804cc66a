use proxyattn::prelude::*;

#[proxy_attention(budget = per_head(0.1, min_tokens = 32))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
