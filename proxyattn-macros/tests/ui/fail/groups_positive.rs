use proxyattn::prelude::*;

#[proxy_attention(groups = 0)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
