use proxyattn::prelude::*;

#[proxy_attention(keep())]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
