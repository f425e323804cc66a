use proxyattn::prelude::*;

#[proxy_attention(budget = spans(min_tokens = 32))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
