use proxyattn::prelude::*;

#[proxy_attention(block = 64, groups = 4, block(q = 128))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
