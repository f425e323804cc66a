use proxyattn::prelude::*;

#[proxy_attention(budget = top_p(95))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
