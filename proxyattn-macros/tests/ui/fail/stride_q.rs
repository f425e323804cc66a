use proxyattn::prelude::*;

#[proxy_attention(block = 64, stride(q = 5, kv = 1))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
