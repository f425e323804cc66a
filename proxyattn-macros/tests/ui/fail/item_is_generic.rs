use proxyattn::prelude::proxy_attention;

#[proxy_attention(block = 64)]
pub struct Kernel<const BLOCK: usize>;

fn main() {
    let _ = Kernel::<64>;
}
