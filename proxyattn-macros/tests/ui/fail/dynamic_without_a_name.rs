use proxyattn::prelude::*;

#[proxy_attention(budget = dynamic(0.9))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
