use proxyattn::prelude::*;

#[proxy_attention(groups)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
