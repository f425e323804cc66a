use proxyattn::prelude::*;

#[proxy_attention(keep(sink = 2_000_000))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
