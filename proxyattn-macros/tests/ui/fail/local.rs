use proxyattn::prelude::*;

#[proxy_attention(keep(local = 2_000_000))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
