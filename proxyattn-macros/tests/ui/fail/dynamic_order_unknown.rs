use proxyattn::prelude::*;

#[proxy_attention(budget = dynamic(order = score))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
