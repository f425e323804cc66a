use proxyattn::prelude::*;

#[proxy_attention(budget = top_k(blocks = 3), keep(sink = 2, local = 2))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
