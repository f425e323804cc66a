use proxyattn::prelude::proxy_attention;

#[proxy_attention(block = 64)]
/// Prefill.
pub fn prefill() {}

fn main() {
    prefill();
}
