use proxyattn::prelude::*;

#[proxy_attention(keep(sink = 1, sink = 2))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
