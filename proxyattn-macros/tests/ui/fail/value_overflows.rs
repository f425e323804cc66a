use proxyattn::prelude::*;

#[proxy_attention(groups = 4_294_967_296)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
