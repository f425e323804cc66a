use proxyattn::prelude::*;

#[proxy_attention(block(q = 64, kv = 256))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
