use proxyattn::prelude::*;

#[proxy_attention(head_dim = 100)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
