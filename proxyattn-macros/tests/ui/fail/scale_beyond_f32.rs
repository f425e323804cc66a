use proxyattn::prelude::*;

#[proxy_attention(scale = 1e39)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
