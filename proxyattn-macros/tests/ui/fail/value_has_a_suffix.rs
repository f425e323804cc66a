use proxyattn::prelude::*;

#[proxy_attention(block = 64usize)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
