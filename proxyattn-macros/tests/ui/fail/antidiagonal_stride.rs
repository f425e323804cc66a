use proxyattn::prelude::*;

#[proxy_attention(scorer = antidiagonal(stride = 12))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
