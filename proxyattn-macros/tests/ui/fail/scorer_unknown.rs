use proxyattn::prelude::*;

#[proxy_attention(scorer = antidiagonal)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
