use proxyattn::prelude::*;

#[proxy_attention(budget = ratio(split = heads))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
