use proxyattn::prelude::*;

#[proxy_attention(budget = per_head(10))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
