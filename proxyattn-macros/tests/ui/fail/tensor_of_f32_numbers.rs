use proxyattn::prelude::*;

#[proxy_attention(head_dim = 64)]
struct Kernel;

fn main() {
    let attention = Kernel::load(&Device::cpu()).unwrap();
    let numbers = vec![0.5f32; 8 * 100 * 64];
    let q = View::bhsd(&numbers, [1, 8, 100, 64]).unwrap();
    let kv = Tensor::zeros([1, 2, 100, 64]).unwrap();
    attention.prefill(&q, &kv, &kv).unwrap();
}
