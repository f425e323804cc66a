use proxyattn::prelude::*;

#[proxy_attention(scorer = proxy(sums = exact, scores = e4m3))]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
