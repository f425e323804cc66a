use proxyattn::prelude::*;

#[proxy_attention(crate = "proxyattn")]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
