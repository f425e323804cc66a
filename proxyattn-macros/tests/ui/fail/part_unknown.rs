use proxyattn::prelude::*;

#[proxy_attention(stride(k = 4))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
