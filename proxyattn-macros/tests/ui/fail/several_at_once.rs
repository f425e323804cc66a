use proxyattn::prelude::*;

#[proxy_attention(
    blok = 64,
    head_dim = 100,
    stride(q = "4", kv = 0),
    dtype = f64,
    budget = ratio(10),
)]
pub struct Kernel;

fn main() {
    let _ = Kernel::load(&Device::auto());
}
