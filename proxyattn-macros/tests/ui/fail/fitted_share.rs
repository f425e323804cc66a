use proxyattn::prelude::*;

#[proxy_attention(budget = fitted(70))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
