use proxyattn::prelude::*;

#[proxy_attention(block = 64)]
#[proxy_attention(groups = 4)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
