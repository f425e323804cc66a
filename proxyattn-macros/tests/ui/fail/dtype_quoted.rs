use proxyattn::prelude::*;

#[proxy_attention(dtype = "f16")]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
