use proxyattn::prelude::*;

#[proxy_attention(scorer = vertical_slash(last = 100))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
