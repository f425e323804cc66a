use proxyattn::prelude::*;

#[proxy_attention(scale = -0.125)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
