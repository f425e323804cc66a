use proxyattn::prelude::*;

#[proxy_attention(budget = dynamic(gamma = 95, min_tokens = 512))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
