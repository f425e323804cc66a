use proxyattn::prelude::*;

#[proxy_attention(scale = 1.0 / 8.0)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
