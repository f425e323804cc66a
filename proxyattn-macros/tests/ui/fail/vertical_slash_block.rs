use proxyattn::prelude::*;

#[proxy_attention(block(q = 128, kv = 64), scorer = vertical_slash)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
