use proxyattn::prelude::*;

#[proxy_attention(crate = missing::facade)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
