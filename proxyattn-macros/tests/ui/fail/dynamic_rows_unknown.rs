use proxyattn::prelude::*;

#[proxy_attention(budget = dynamic(rows = relative))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
