use proxyattn::prelude::*;

#[proxy_attention(budget = ratio(1e-7))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
