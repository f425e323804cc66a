use proxyattn::prelude::*;

#[proxy_attention(window = 128)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
