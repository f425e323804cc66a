use proxyattn::prelude::*;

#[proxy_attention(preset = papper)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
