use proxyattn::prelude::*;

#[proxy_attention(arch())]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
