use proxyattn::prelude::proxy_attention;

#[proxy_attention]
pub enum Kernel {
    Prefill,
}

fn main() {
    let _ = Kernel::Prefill;
}
