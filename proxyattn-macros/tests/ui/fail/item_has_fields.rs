use proxyattn::prelude::*;

#[proxy_attention(block = 64)]
pub struct Kernel {
    pub scale: f32,
}

fn main() {
    let _ = Kernel::load(&Device::auto());
}
