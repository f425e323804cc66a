use proxyattn::prelude::*;

#[proxy_attention(num_kv_heads = 8)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
