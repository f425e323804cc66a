use proxyattn::prelude::*;

#[proxy_attention(budget = dynamic(weigh = value))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
