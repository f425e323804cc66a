use proxyattn::prelude::*;

#[proxy_attention(budget = ratio(0.1, split = head))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
