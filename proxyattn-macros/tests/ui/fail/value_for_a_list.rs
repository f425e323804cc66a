use proxyattn::prelude::*;

#[proxy_attention(keep = 1)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
