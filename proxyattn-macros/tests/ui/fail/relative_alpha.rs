use proxyattn::prelude::*;

#[proxy_attention(budget = relative(0.0))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
