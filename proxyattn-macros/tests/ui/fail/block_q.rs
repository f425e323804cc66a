use proxyattn::prelude::*;

#[proxy_attention(block(q = 48, kv = 64))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
