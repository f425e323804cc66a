use proxyattn::prelude::*;

#[proxy_attention(budget = topk(blocks = 64))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
