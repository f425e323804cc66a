use proxyattn::prelude::*;

#[proxy_attention(heads = 32, kv_heads = 5)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
