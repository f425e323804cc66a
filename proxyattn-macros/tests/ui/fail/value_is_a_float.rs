use proxyattn::prelude::*;

#[proxy_attention(block = 64.0)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
