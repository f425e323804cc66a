use proxyattn::prelude::*;

#[proxy_attention(arch(sm_80, sm_80))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
