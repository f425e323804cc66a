use proxyattn::prelude::*;

#[proxy_attention(budget = top_k(64))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
