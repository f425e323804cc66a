use proxyattn::prelude::*;

const BLOCK: u32 = 64;

#[proxy_attention(block = BLOCK)]
pub struct Kernel;

fn main() {
    let _ = (BLOCK, Kernel::load(&Device::auto()));
}
