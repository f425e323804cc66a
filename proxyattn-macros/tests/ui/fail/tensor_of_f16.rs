use proxyattn::prelude::*;

#[proxy_attention(head_dim = 64)]
struct Kernel;

fn main() {
    let attention = Kernel::load(&Device::cpu()).unwrap();
    let q = Tensor::<f16>::zeros([1, 8, 100, 64]).unwrap();
    let kv = Tensor::zeros([1, 2, 100, 64]).unwrap();
    attention.prefill(&q, &kv, &kv).unwrap();
}
