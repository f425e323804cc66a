use proxyattn::prelude::*;

#[proxy_attention(budget = ratio)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
