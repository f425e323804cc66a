use proxyattn::prelude::*;

#[proxy_attention(heads = 0)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
