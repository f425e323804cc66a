use proxyattn::prelude::*;

#[proxy_attention(scorer = antidiagonal(16))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
